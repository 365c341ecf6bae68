// SPDX-License-Identifier: GPL-2.0-only
#include "sysfs.h"
#include "dev.h"

#include <linux/device.h>
#include <linux/idr.h>
#include <linux/kdev_t.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

static DEFINE_IDA(vhost_blk_ids);

static struct vhost_blk_dev *vhost_blk_to_dev(struct device *device)
{
	return container_of(device, struct vhost_blk_dev, device);
}

static ssize_t owner_show(struct device *device, struct device_attribute *attr,
			  char *buf)
{
	return sysfs_emit(buf, "%d\n",
			  READ_ONCE(vhost_blk_to_dev(device)->owner));
}
static DEVICE_ATTR_RO(owner);

static ssize_t backend_show(struct device *device,
			    struct device_attribute *attr, char *buf)
{
	dev_t dev = READ_ONCE(vhost_blk_to_dev(device)->backend_dev);

	if (!dev)
		return sysfs_emit(buf, "none\n");
	return sysfs_emit(buf, "%u:%u\n", MAJOR(dev), MINOR(dev));
}
static DEVICE_ATTR_RO(backend);

static ssize_t state_show(struct device *device, struct device_attribute *attr,
			  char *buf)
{
	const struct vhost_blk_dev *dev = vhost_blk_to_dev(device);

	if (READ_ONCE(dev->backend_dev))
		return sysfs_emit(buf, "attached\n");
	return sysfs_emit(buf, "%s\n",
			  READ_ONCE(dev->owner) ? "detached" : "unowned");
}
static DEVICE_ATTR_RO(state);

static ssize_t features_show(struct device *device,
			     struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "0x%llx\n",
			  READ_ONCE(vhost_blk_to_dev(device)->features));
}
static DEVICE_ATTR_RO(features);

static ssize_t serial_show(struct device *device, struct device_attribute *attr,
			   char *buf)
{
	struct vhost_blk_serial *serial = &vhost_blk_to_dev(device)->serial;
	char str[VHOST_BLK_SERIAL_LEN + 1] = {};

	spin_lock(&serial->lock);
	memcpy(str, serial->str, sizeof(serial->str));
	spin_unlock(&serial->lock);
	return sysfs_emit(buf, "%s\n", str);
}
static DEVICE_ATTR_RO(serial);

static struct attribute *vhost_blk_dev_attrs[] = {
	&dev_attr_owner.attr,	 &dev_attr_backend.attr, &dev_attr_state.attr,
	&dev_attr_features.attr, &dev_attr_serial.attr,	 NULL,
};
ATTRIBUTE_GROUPS(vhost_blk_dev);

static struct class vhost_blk_class = {
	.name = "vhost-blk",
	.dev_groups = vhost_blk_dev_groups,
};

static void vhost_blk_dev_release(struct device *device)
{
	struct vhost_blk_dev *dev = vhost_blk_to_dev(device);

	ida_free(&vhost_blk_ids, dev->id);
	kvfree(dev);
}

/**
 * vhost_blk_sysfs_register() - make /sys/class/vhost-blk appear
 *
 * Return: 0 or a negative errno.
 */
int vhost_blk_sysfs_register(void)
{
	return class_register(&vhost_blk_class);
}

/**
 * vhost_blk_sysfs_unregister() - take /sys/class/vhost-blk away
 */
void vhost_blk_sysfs_unregister(void)
{
	class_unregister(&vhost_blk_class);
	ida_destroy(&vhost_blk_ids);
}

/**
 * vhost_blk_sysfs_init_dev() - give a device its number and name
 * @dev: zeroed memory from kvzalloc()
 *
 * Return: 0, or a negative errno with @dev untouched. From success on @dev is
 * freed by vhost_blk_sysfs_put_dev().
 */
int vhost_blk_sysfs_init_dev(struct vhost_blk_dev *dev)
{
	int id = ida_alloc(&vhost_blk_ids, GFP_KERNEL);

	if (id < 0)
		return id;
	dev->id = id;
	device_initialize(&dev->device);
	dev->device.class = &vhost_blk_class;
	dev->device.release = vhost_blk_dev_release;
	return 0;
}

/**
 * vhost_blk_sysfs_add_dev() - show a device
 * @dev: the device
 *
 * Return: 0 or a negative errno.
 */
int vhost_blk_sysfs_add_dev(struct vhost_blk_dev *dev)
{
	int ret;

	ret = dev_set_name(&dev->device, "vhost-blk%d", dev->id);
	if (ret)
		return ret;
	ret = device_add(&dev->device);
	if (ret)
		return ret;
	dev->queues = kobject_create_and_add("queues", &dev->device.kobj);
	if (!dev->queues) {
		device_del(&dev->device);
		return -ENOMEM;
	}
	return 0;
}

/**
 * vhost_blk_sysfs_del_dev() - take a device away, without its queues
 * @dev: a device that vhost_blk_sysfs_add_dev() has shown
 *
 * Waits for those who are reading its files.
 */
void vhost_blk_sysfs_del_dev(struct vhost_blk_dev *dev)
{
	kobject_put(dev->queues);
	device_del(&dev->device);
}

/**
 * vhost_blk_sysfs_put_dev() - free a device
 * @dev: a device that is not shown
 */
void vhost_blk_sysfs_put_dev(struct vhost_blk_dev *dev)
{
	put_device(&dev->device);
}
