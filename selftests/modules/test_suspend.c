// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a host of the lab needs to be suspended and to wake up again. The PCI devices
 * named stay out of it: those below its root, whose driver cannot suspend (virtio-9p).
 * With "timer" the ACPI timer, which runs over every 2.3 s, interrupts, and so ends
 * suspend to idle: the alarm of QEMU's clock does not.
 */
#include <linux/acpi.h>
#include <linux/device.h>
#include <linux/module.h>
#include <linux/pci.h>

static char *awake[8];
static unsigned int nr_awake;
module_param_array(awake, charp, &nr_awake, 0444);
MODULE_PARM_DESC(awake, "names of devices in /sys/bus/pci/devices");

static bool timer;
module_param(timer, bool, 0444);
MODULE_PARM_DESC(timer, "the ACPI timer wakes the host");

static struct device *devs[ARRAY_SIZE(awake)];

static u32 test_timer_event(void *context)
{
	return ACPI_INTERRUPT_HANDLED;
}

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

	if (!ret && timer &&
	    ACPI_FAILURE(acpi_install_fixed_event_handler(ACPI_EVENT_PMTIMER,
							  test_timer_event,
							  NULL)))
		ret = -EIO;
	if (ret)
		test_let_sleep();
	return ret;
}

static void __exit test_suspend_exit(void)
{
	if (timer)
		acpi_remove_fixed_event_handler(ACPI_EVENT_PMTIMER,
						test_timer_event);
	test_let_sleep();
}

module_init(test_suspend_init);
module_exit(test_suspend_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("suspend of the lab's host for tests");
