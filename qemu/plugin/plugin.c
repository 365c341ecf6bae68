/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loads the device into a QEMU that was built without it: -plugin FILE
 *
 * QEMU's plugin interface is meant for instrumentation; what is used of it is
 * that QEMU opens the file before it creates devices. The device itself uses
 * QEMU's internal structures, whose layout is that of one build: any other is
 * refused.
 */
#include "qemu/osdep.h"

#include <dlfcn.h>

#include "qapi/error.h"
#include "qapi/qapi-types-control.h"
#include "qemu/qemu-plugin.h"
#include "hw/virtio/vhost-blk-compat.h"

#define STR(x) #x
#define XSTR(x) STR(x)
#define DOTTED(a, b, c) XSTR(a) "." XSTR(b) "." XSTR(c)
#define BUILT_VERSION \
    DOTTED(QEMU_VERSION_MAJOR, QEMU_VERSION_MINOR, QEMU_VERSION_MICRO)

QEMU_PLUGIN_EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

static bool fits;

static void refuse(const char *running)
{
    fprintf(stderr,
            "vhost-blk-pci.so: built for qemu-system-%s %s (%s), this "
            "is %s: rebuild it (make qemu-plugin)\n",
            PLUGIN_TARGET, BUILT_VERSION, PLUGIN_PACKAGE, running);
}

/*
 * Runs when the file is opened, before QEMU compares the versions of the plugin
 * interface: its message would not say what to do.
 */
static void __attribute__((constructor)) check_binary(void)
{
    VersionInfo *(*query)(Error **) = dlsym(RTLD_DEFAULT, "qmp_query_version");
    g_autofree char *version = NULL;
    g_autofree char *running = NULL;
    VersionInfo *info;

    if (!query) {
        refuse("a program without qmp_query_version()");
        return;
    }
    info = query(NULL);
    version =
        g_strdup_printf("%" PRId64 ".%" PRId64 ".%" PRId64, info->qemu->major,
                        info->qemu->minor, info->qemu->micro);
    fits = !strcmp(version, BUILT_VERSION) &&
           !strcmp(info->package, PLUGIN_PACKAGE);
    if (!fits) {
        running = g_strdup_printf("%s (%s)", version, info->package);
        refuse(running);
    }
    qapi_free_VersionInfo(info);
}

QEMU_PLUGIN_EXPORT int qemu_plugin_install(qemu_plugin_id_t id,
                                           const qemu_info_t *info, int argc,
                                           char **argv)
{
    if (!fits) {
        return 1;
    }
    if (!info->system_emulation || strcmp(info->target_name, PLUGIN_TARGET)) {
        refuse(info->target_name);
        return 1;
    }
    vhost_blk_register_types();
    vhost_blk_pci_register_types();
    return 0;
}
