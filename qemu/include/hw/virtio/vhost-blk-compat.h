/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What differs between the QEMU releases that vhost-blk is built for (7.2 and
 * later), and between a device built in and one loaded with -plugin.
 *
 * Written as for today's QEMU; nothing outside this file looks at a version.
 */
#ifndef HW_VIRTIO_VHOST_BLK_COMPAT_H
#define HW_VIRTIO_VHOST_BLK_COMPAT_H

#include "qemu/module.h"

/* Headers that moved. */
#if __has_include("hw/core/qdev-properties.h")
#include "hw/core/qdev-properties.h"
#include "hw/core/qdev-properties-system.h"
#else
#include "hw/qdev-properties.h"
#include "hw/qdev-properties-system.h"
#endif
#if __has_include("system/system.h")
#include "system/system.h"
#else
#include "sysemu/sysemu.h"
#endif
#include "hw/virtio/virtio.h"
#include "hw/virtio/vhost.h"

#define VHOST_BLK_QEMU (QEMU_VERSION_MAJOR * 100 + QEMU_VERSION_MINOR)

/* Property arrays became const and lost their end marker in 10.0. */
#if VHOST_BLK_QEMU >= 1000
#define VHOST_BLK_PROPERTY const Property
#define VHOST_BLK_PROPERTY_END
#else
#define VHOST_BLK_PROPERTY Property
#define VHOST_BLK_PROPERTY_END DEFINE_PROP_END_OF_LIST()
#endif

/* The data of class_init became const, set_status got a result in 10.1. */
#if VHOST_BLK_QEMU >= 1001
typedef const void VHostBlkClassData;
typedef int VHostBlkStatusResult;
#define VHOST_BLK_STATUS_RESULT(ret) (ret)
#else
typedef void VHostBlkClassData;
typedef void VHostBlkStatusResult;
#define VHOST_BLK_STATUS_RESULT(ret) ((void)(ret))
#endif

/* 8.0 and later ask for the configuration interrupt with this index. */
#ifdef VIRTIO_CONFIG_IRQ_IDX
#define VHOST_BLK_IS_CONFIG_IRQ(idx) ((idx) == VIRTIO_CONFIG_IRQ_IDX)
#else
#define VHOST_BLK_IS_CONFIG_IRQ(idx) false
#endif

/*
 * QEMU has run its type_init() functions when a plugin is loaded: the plugin
 * calls them itself, once it knows that the binary is the right one.
 */
#ifdef VHOST_BLK_PLUGIN
void vhost_blk_register_types(void);
void vhost_blk_pci_register_types(void);
#define VHOST_BLK_TYPE_INIT
#define vhost_blk_type_init(function)
#else
#define VHOST_BLK_TYPE_INIT static
#define vhost_blk_type_init(function) type_init(function)
#endif

#endif
