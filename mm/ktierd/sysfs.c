// SPDX-License-Identifier: GPL-2.0
/*
 * /sys/kernel/mm/ktierd: one value a file.  Each file is described in
 * Documentation/ABI/testing/sysfs-kernel-mm-ktierd.
 */

#include <linux/kobject.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "internal.h"

#define KB(pages)	((u64)(pages) << (PAGE_SHIFT - 10))

static ssize_t enabled_show(struct kobject *kobj, struct kobj_attribute *attr,
			    char *buf)
{
	return sysfs_emit(buf, "%d\n", ktierd_enabled());
}

static ssize_t enabled_store(struct kobject *kobj, struct kobj_attribute *attr,
			     const char *buf, size_t count)
{
	u8 value;
	int ret = kstrtou8(buf, 10, &value);

	if (ret || value > 1)
		return -EINVAL;
	ktierd_set_enabled(value);
	return count;
}

static struct kobj_attribute enabled_attr = __ATTR_RW(enabled);

#define KTIERD_ATTR_RO(_name, _value)					\
static ssize_t _name##_show(struct kobject *kobj,			\
			    struct kobj_attribute *attr, char *buf)	\
{									\
	return sysfs_emit(buf, "%llu\n", (u64)(_value));		\
}									\
static struct kobj_attribute _name##_attr = __ATTR_RO(_name)

KTIERD_ATTR_RO(processes, ktierd_nr_processes());
KTIERD_ATTR_RO(scans, ktierd_nr_rounds());
KTIERD_ATTR_RO(pages_scanned, ktierd_pages_scanned());
KTIERD_ATTR_RO(pages_young, ktierd_pages_young());
KTIERD_ATTR_RO(pages_dirty, ktierd_pages_dirty());
KTIERD_ATTR_RO(pages_promoted, ktierd_pages_promoted());
KTIERD_ATTR_RO(pages_demoted, ktierd_pages_demoted());
KTIERD_ATTR_RO(pages_returned, ktierd_pages_returned());
KTIERD_ATTR_RO(scan_interval_effective_ms, ktierd_interval_ms());
KTIERD_ATTR_RO(sample_window_us, ktierd_window_us());
KTIERD_ATTR_RO(hot_threshold, ktierd_hot_level());
KTIERD_ATTR_RO(scan_ms, ktierd_scan_ns() / NSEC_PER_MSEC);
KTIERD_ATTR_RO(migrate_ms, ktierd_migrate_ns() / NSEC_PER_MSEC);

static struct attribute *ktierd_attrs[] = {
	&enabled_attr.attr,
	&processes_attr.attr,
	&scans_attr.attr,
	&pages_scanned_attr.attr,
	&pages_young_attr.attr,
	&pages_dirty_attr.attr,
	&pages_promoted_attr.attr,
	&pages_demoted_attr.attr,
	&pages_returned_attr.attr,
	&scan_interval_effective_ms_attr.attr,
	&sample_window_us_attr.attr,
	&hot_threshold_attr.attr,
	&scan_ms_attr.attr,
	&migrate_ms_attr.attr,
	NULL,
};

static const struct attribute_group ktierd_group = {
	.attrs = ktierd_attrs,
};

/* failed/: a counter a reason, in the order of enum ktierd_fail. */
static struct kobj_attribute fail_attrs[KTIERD_NR_FAILS];
static struct attribute *fail_attr_list[KTIERD_NR_FAILS + 1];

static ssize_t fail_show(struct kobject *kobj, struct kobj_attribute *attr,
			 char *buf)
{
	enum ktierd_fail why = attr - fail_attrs;

	return sysfs_emit(buf, "%llu\n", ktierd_pages_failed(why));
}

static const struct attribute_group fail_group = {
	.name	= "failed",
	.attrs	= fail_attr_list,
};

static void __init fail_attrs_init(void)
{
	int why;

	for (why = 0; why < KTIERD_NR_FAILS; why++) {
		sysfs_attr_init(&fail_attrs[why].attr);
		fail_attrs[why].attr.name = ktierd_fail_names[why];
		fail_attrs[why].attr.mode = 0444;
		fail_attrs[why].show = fail_show;
		fail_attr_list[why] = &fail_attrs[why].attr;
	}
}

/* nodeN/: a folder for each possible node. */
struct ktierd_node {
	struct kobject kobj;
	int nid;
};

static int kobj_nid(struct kobject *kobj)
{
	return container_of(kobj, struct ktierd_node, kobj)->nid;
}

#define KTIERD_NODE_ATTR(_name, _pages)					\
static ssize_t _name##_show(struct kobject *kobj,			\
			    struct kobj_attribute *attr, char *buf)	\
{									\
	return sysfs_emit(buf, "%llu\n", KB(_pages(kobj_nid(kobj))));	\
}									\
static struct kobj_attribute _name##_attr = __ATTR_RO(_name)

KTIERD_NODE_ATTR(tracked_kb, ktierd_node_pages);
KTIERD_NODE_ATTR(hot_kb, ktierd_node_hot);
KTIERD_NODE_ATTR(cold_kb, ktierd_node_cold);

static struct attribute *node_attrs[] = {
	&tracked_kb_attr.attr,
	&hot_kb_attr.attr,
	&cold_kb_attr.attr,
	NULL,
};
ATTRIBUTE_GROUPS(node);

static void node_release(struct kobject *kobj)
{
	kfree(container_of(kobj, struct ktierd_node, kobj));
}

static const struct kobj_type node_ktype = {
	.release	= node_release,
	.sysfs_ops	= &kobj_sysfs_ops,
	.default_groups	= node_groups,
};

static int __init node_init(struct kobject *parent, int nid)
{
	struct ktierd_node *node = kzalloc(sizeof(*node), GFP_KERNEL);
	int ret;

	if (!node)
		return -ENOMEM;
	node->nid = nid;
	ret = kobject_init_and_add(&node->kobj, &node_ktype, parent, "node%d",
				   nid);
	if (ret)
		kobject_put(&node->kobj);
	return ret;
}

/**
 * ktierd_sysfs_init() - make the files
 *
 * Return: 0, or an error if one of them could not be made.
 */
int __init ktierd_sysfs_init(void)
{
	struct kobject *kobj = kobject_create_and_add("ktierd", mm_kobj);
	int nid, ret;

	if (!kobj)
		return -ENOMEM;
	fail_attrs_init();
	ret = sysfs_create_group(kobj, &ktierd_group);
	if (!ret)
		ret = sysfs_create_group(kobj, &fail_group);
	for_each_node_state(nid, N_POSSIBLE) {
		if (ret)
			break;
		ret = node_init(kobj, nid);
	}
	return ret;
}
