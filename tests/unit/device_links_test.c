/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: agent/io/device_links.c agent/io/devices.c agent/base/log.c */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/io/devices.h"

static struct vst_devices devs;

static const char *at(const char *path)
{
	static char name[512];

	snprintf(name, sizeof(name), "%s%s", devs.root, path);
	return name;
}

static void file(const char *path, const char *text)
{
	FILE *f = fopen(at(path), "we");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void directory(const char *path)
{
	assert_int_equal(mkdir(at(path), 0755), 0);
}

static void link_to(const char *target, const char *path)
{
	assert_int_equal(symlink(target, at(path)), 0);
}

static void disk(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/block/%s", name);
	directory(path);
}

static void read_all(void)
{
	assert_int_equal(vst_devices_read(&devs), 0);
	vst_devices_settings(&devs);
}

static int setup(void **state)
{
	memset(&devs, 0, sizeof(devs));
	strcpy(devs.root, "/tmp/vstor-links-XXXXXX");
	if (!mkdtemp(devs.root))
		return -1;
	directory("/proc");
	directory("/dev");
	directory("/dev/disk");
	directory("/dev/disk/by-id");
	directory("/dev/mapper");
	directory("/sys");
	directory("/sys/block");
	disk("sda");
	disk("cciss!c0d0");
	disk("dm-0");
	disk("dm-1");
	directory("/sys/block/dm-0/dm");
	directory("/sys/block/dm-1/dm");
	file("/proc/diskstats", "8 0 sda 1 0 8 1 0 0 0 0 0 1 1\n"
				"8 1 sda1 1 0 8 1 0 0 0 0 0 1 1\n"
				"104 0 cciss/c0d0 1 0 8 1 0 0 0 0 0 1 1\n"
				"253 0 dm-0 1 0 8 1 0 0 0 0 0 1 1\n"
				"253 1 dm-1 1 0 8 1 0 0 0 0 0 1 1\n");
	return 0;
}

static int teardown(void **state)
{
	char command[128];

	vst_devices_free(&devs);
	snprintf(command, sizeof(command), "rm -rf %s", devs.root);
	return system(command);
}

/* The paths of a disk, separated by spaces. */
static const char *links_of(const char *name)
{
	static char text[8192];

	*text = 0;
	for (size_t i = 0; i < devs.n; i++)
		for (size_t k = 0; !strcmp(devs.list[i].name, name) && k < devs.list[i].links.n; k++) {
			strcat(text, k ? " " : "");
			strcat(text, devs.list[i].links.path[k]);
		}
	return text;
}

static void links_of_udev(void **state)
{
	link_to("../../sda", "/dev/disk/by-id/ata-SSD_42");
	link_to("/dev/sda", "/dev/disk/by-id/absolute");
	link_to("../../sda1", "/dev/disk/by-id/ata-SSD_42-part1"); /* a partition is no disk */
	link_to("../../cciss/c0d0", "/dev/disk/by-id/cciss-1");
	link_to("../../gone", "/dev/disk/by-id/gone");
	file("/dev/disk/by-id/no-link", "");
	read_all();
	assert_string_equal(links_of("sda"), "/dev/disk/by-id/absolute /dev/disk/by-id/ata-SSD_42");
	assert_string_equal(links_of("cciss!c0d0"), "/dev/disk/by-id/cciss-1");
	assert_string_equal(links_of("dm-0"), "");
}

/* Also without any link in /dev, as in a container. */
static void names_of_device_mapper(void **state)
{
	file("/sys/block/dm-0/dm/name", "vg--a-data\n");
	file("/sys/block/dm-0/dm/uuid", "LVM-abcdef\n");
	file("/sys/block/dm-1/dm/name", "crypt-home\n");
	file("/sys/block/dm-1/dm/uuid", "CRYPT-LUKS2-1\n");
	link_to("../dm-0", "/dev/mapper/vg--a-data"); /* the same again */
	link_to("../dm-0", "/dev/mapper/other");
	read_all();
	assert_string_equal(links_of("dm-0"), "/dev/mapper/other /dev/mapper/vg--a-data /dev/vg-a/data");
	assert_string_equal(links_of("dm-1"), "/dev/mapper/crypt-home");
}

/* The hidden half of a volume: lvm makes no path in /dev/VG for it. */
static void parts_of_volumes(void **state)
{
	file("/sys/block/dm-0/dm/name", "vg-data-real\n");
	file("/sys/block/dm-0/dm/uuid", "LVM-abcdef-real\n");
	file("/sys/block/dm-1/dm/name", "vg\n");
	file("/sys/block/dm-1/dm/uuid", "LVM-x\n");
	read_all();
	assert_string_equal(links_of("dm-0"), "/dev/mapper/vg-data-real");
	assert_string_equal(links_of("dm-1"), "/dev/mapper/vg");
}

static void links_come_and_go(void **state)
{
	read_all();
	assert_string_equal(links_of("sda"), "");
	link_to("../../sda", "/dev/disk/by-id/new");
	read_all();
	assert_string_equal(links_of("sda"), "/dev/disk/by-id/new");
	directory("/dev/disk/by-path"); /* a sort of links that nobody had before */
	link_to("../../sda", "/dev/disk/by-path/pci-1");
	read_all();
	assert_string_equal(links_of("sda"), "/dev/disk/by-id/new /dev/disk/by-path/pci-1");
	assert_int_equal(unlink(at("/dev/disk/by-id/new")), 0);
	read_all();
	assert_string_equal(links_of("sda"), "/dev/disk/by-path/pci-1");
	file("/proc/diskstats", "8 0 sda 1 0 8 1 0 0 0 0 0 1 1\n"); /* the others are gone */
	read_all();
	assert_string_equal(links_of("sda"), "/dev/disk/by-path/pci-1");
	assert_string_equal(links_of("cciss!c0d0"), "");
}

/* Nothing is read while nothing changes. */
static void read_only_after_a_change(void **state)
{
	struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };

	link_to("../../sda", "/dev/disk/by-id/a");
	utimensat(AT_FDCWD, at("/dev/disk"), old, 0);
	utimensat(AT_FDCWD, at("/dev/disk/by-id"), old, 0);
	utimensat(AT_FDCWD, at("/dev/mapper"), old, 0);
	read_all();
	assert_false(devs.links.recent);
	link_to("../../sda", "/dev/disk/by-id/b");
	utimensat(AT_FDCWD, at("/dev/disk/by-id"), old, 0); /* as if nothing had changed */
	read_all();
	assert_string_equal(links_of("sda"), "/dev/disk/by-id/a");
	old[1].tv_sec++;
	utimensat(AT_FDCWD, at("/dev/disk/by-id"), old, 0);
	read_all();
	assert_string_equal(links_of("sda"), "/dev/disk/by-id/a /dev/disk/by-id/b");
}

static void bounded(void **state)
{
	char path[512], name[251];

	for (int i = 0; i < 100; i++) {
		snprintf(path, sizeof(path), "/dev/disk/by-id/%03d", i);
		link_to("../../sda", path);
	}
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	snprintf(path, sizeof(path), "/dev/disk/by-id/%s", name);
	link_to("../../cciss/c0d0", path); /* longer than is kept */
	read_all();
	for (size_t i = 0; i < devs.n; i++)
		if (!strcmp(devs.list[i].name, "sda"))
			assert_int_equal(devs.list[i].links.n, VST_DEVICE_LINKS_MAX);
	assert_string_equal(links_of("cciss!c0d0"), "");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(links_of_udev),	 TEST(names_of_device_mapper),	 TEST(parts_of_volumes),
		TEST(links_come_and_go), TEST(read_only_after_a_change), TEST(bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
