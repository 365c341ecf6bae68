// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a host of the lab needs to be suspended and to wake up again. The PCI devices
 * named stay out of it: those below its root, whose driver cannot suspend (virtio-9p).
 * With "timer" the ACPI timer, which runs over every 2.3 s, interrupts, and so ends
 * suspend to idle: the alarm of QEMU's clock does not.
 *
 * As long as this is loaded, freezing() looks whether tasks are to freeze. Otherwise it
 * does from when the kernel has replaced its code in each place where it is used, and
 * QEMU 7.2 does not always notice when another CPU replaces code: threads that had the
 * old one did not freeze.
 */
#include <linux/acpi.h>
#include <linux/device.h>
#include <linux/freezer.h>
#include <linux/module.h>
#include <linux/pci.h>

static char *awake[8];
static unsigned int nr_awake;
module_param_array(awake, charp, &nr_awake, 0444);
MODULE_PARM_DESC(awake, "names of devices in /sys/bus/pci/devices");

static struct device *devs[ARRAY_SIZE(awake)];

static u32 test_timer_event(void *context)
{
	return ACPI_INTERRUPT_HANDLED;
}

static bool timer;

static int test_timer_set(const char *val, const struct kernel_param *kp)
{
	acpi_status status = AE_OK;
	bool on;
	int ret = kstrtobool(val, &on);

	if (ret)
		return ret;
	if (on && !timer)
		status = acpi_install_fixed_event_handler(ACPI_EVENT_PMTIMER,
							  test_timer_event,
							  NULL);
	else if (!on && timer)
		status = acpi_remove_fixed_event_handler(ACPI_EVENT_PMTIMER,
							 test_timer_event);
	if (ACPI_FAILURE(status))
		return -EIO;
	timer = on;
	return 0;
}

static const struct kernel_param_ops test_timer_ops = {
	.set = test_timer_set,
	.get = param_get_bool,
};
module_param_cb(timer, &test_timer_ops, &timer, 0644);
MODULE_PARM_DESC(timer, "the ACPI timer wakes the host");

static void test_let_sleep(void)
{
	unsigned int i;

	for (i = 0; i < nr_awake && devs[i]; i++) {
		dev_pm_syscore_device(devs[i], false);
		put_device(devs[i]);
	}
}

static int test_keep_awake(void)
{
	unsigned int i;

	for (i = 0; i < nr_awake; i++) {
		devs[i] = bus_find_device_by_name(&pci_bus_type, NULL, awake[i]);
		if (!devs[i])
			return -ENODEV;
		dev_pm_syscore_device(devs[i], true);
	}
	return 0;
}

static int __init test_suspend_init(void)
{
	int ret = test_keep_awake();

	if (ret)
		test_let_sleep();
	else
		static_branch_inc(&freezer_active);
	return ret;
}

static void __exit test_suspend_exit(void)
{
	static_branch_dec(&freezer_active);
	test_timer_set("0", NULL);
	test_let_sleep();
}

module_init(test_suspend_init);
module_exit(test_suspend_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("suspend of the lab's host for tests");
