/* SPDX-License-Identifier: GPL-2.0-only */
/* LINK: -lbpf */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/waits/lock_names.c"

/* --- types, as a kernel would describe them --- */

static struct btf *btf;
static int u32_id;

static int structure(const char *name, __u32 size)
{
	int id = btf__add_struct(btf, name, size);

	assert_true(id > 0);
	return id;
}

static void member(const char *name, int type, __u32 at)
{
	assert_int_equal(btf__add_field(btf, name, type, at * 8, 0), 0);
}

/* What locks are about: an inode within a larger one, a journal two pointers away from its file system. */
static void files_set_up(int spinlock, int sem)
{
	int super, inode, pointer, journal;

	super = structure("super_block", 64);
	member("s_inode_list_lock", spinlock, 8);
	inode = structure("inode", 128);
	member("i_rwsem", sem, 40);
	structure("ext4_inode_info", 256);
	member("i_data_sem", sem, 0);
	member("vfs_inode", inode, 100);
	pointer = btf__add_ptr(btf, super);
	journal = structure("journal_s", 80);
	member("j_state_lock", spinlock, 16);
	member("j_private", pointer, 32);
	pointer = btf__add_ptr(btf, journal);
	structure("transaction_s", 40);
	member("t_journal", pointer, 8);
	member("t_handle_lock", spinlock, 24);
}

/* struct box { u32; spinlock_t guard; struct { struct mutex inner; }; union { u64; struct lockref ref; }; pages[2]; } */
static int set_up(void **state)
{
	int raw, spin, spinlock_t, mutex, sem, hidden, ref, either, constant, page, pages;

	btf = btf__new_empty();
	assert_non_null(btf);
	u32_id = btf__add_int(btf, "unsigned int", 4, 0);
	raw = structure("raw_spinlock", 4);
	member("raw_lock", u32_id, 0);
	spin = structure("spinlock", 4);
	member("rlock", raw, 0);
	spinlock_t = btf__add_typedef(btf, "spinlock_t", spin);
	mutex = structure("mutex", 32);
	member("owner", u32_id, 0);
	member("wait_lock", raw, 8);
	sem = structure("rw_semaphore", 40);
	member("count", u32_id, 0);
	member("wait_lock", raw, 24);
	hidden = structure("", 32);
	member("inner", mutex, 0);
	ref = structure("lockref", 8);
	member("lock", spinlock_t, 0);
	member("count", u32_id, 4);
	either = btf__add_union(btf, "", 8);
	member("whole", u32_id, 0);
	member("ref", ref, 0);
	constant = btf__add_const(btf, sem);
	page = structure("page_of_it", 48);
	member("flags", u32_id, 0);
	member("sem", constant, 8);
	pages = btf__add_array(btf, u32_id, page, 2);
	assert_true(pages > 0);
	structure("box", 152);
	member("first", u32_id, 0);
	member("guard", spinlock_t, 4);
	member("", hidden, 8);
	member("", either, 40);
	member("page", pages, 48);
	files_set_up(spinlock_t, sem);
	return 0;
}

static int tear_down(void **state)
{
	btf__free(btf);
	return 0;
}

static const char *field(__u32 offset, enum vst_lock_type type)
{
	static char buf[VST_LOCK_NAME];

	return vst_lock_name_field(btf, "box", offset, type, buf) ? NULL : buf;
}

static void test_a_member_by_its_offset(void **state)
{
	assert_string_equal(field(4, VST_LOCK_SPINLOCK), "box.guard");
	/* through structures and unions without a name, and arrays */
	assert_string_equal(field(8, VST_LOCK_MUTEX), "box.inner");
	assert_string_equal(field(40, VST_LOCK_SPINLOCK), "box.ref");
	assert_string_equal(field(48 + 8, VST_LOCK_RWSEM), "box.page.sem");
	assert_string_equal(field(96 + 8, VST_LOCK_RWSEM), "box.page.sem");
	/* the spinlock inside a lock that sleeps is one of its own */
	assert_string_equal(field(8 + 8, VST_LOCK_SPINLOCK), "box.inner.wait_lock");
	assert_string_equal(field(48 + 8 + 24, VST_LOCK_SPINLOCK), "box.page.sem.wait_lock");
}

static void test_what_is_no_such_lock_has_no_name(void **state)
{
	char buf[VST_LOCK_NAME];

	assert_null(field(0, VST_LOCK_SPINLOCK));
	assert_null(field(4, VST_LOCK_MUTEX)); /* there is a lock, of another type */
	assert_null(field(8, VST_LOCK_SPINLOCK));
	assert_null(field(6, VST_LOCK_SPINLOCK)); /* in the middle of one */
	assert_null(field(44, VST_LOCK_SPINLOCK));
	assert_null(field(152, VST_LOCK_SPINLOCK)); /* behind the end */
	assert_null(field(48 + 48 + 48, VST_LOCK_RWSEM));
	assert_int_equal(vst_lock_name_field(btf, "no_such_structure", 4, VST_LOCK_SPINLOCK, buf), -ENOENT);
}

/* --- tables --- */

static void test_structures_of_caches(void **state)
{
	const char *module = NULL;

	assert_string_equal(vst_lock_name_structure("ext4_inode_cache", &module), "ext4_inode_info");
	assert_string_equal(module, "ext4");
	assert_string_equal(vst_lock_name_structure("dentry", &module), "dentry");
	assert_string_equal(module, "");
	assert_null(vst_lock_name_structure("kmalloc-64", &module));
}

static const char *taken(const char *name, const char *by, enum vst_lock_type type, bool variable)
{
	struct vst_lock_caller c = { .ip = 1, .above = "do_syscall_64" };

	snprintf(c.name, sizeof(c.name), "%s", name);
	snprintf(c.by, sizeof(c.by), "%s", by);
	return vst_lock_name_taken(&c, type, variable, true);
}

static void test_who_takes_what(void **state)
{
	struct vst_lock_caller c = { .name = "list_lru_add", .by = "list_lru_add_obj", .above = "inode_add_lru" };

	assert_string_equal(taken("__schedule", "schedule", VST_LOCK_SPINLOCK, false), "rq.__lock");
	/* what the compiler and the kernel append does not matter */
	assert_string_equal(taken("start_this_handle.isra.0 [jbd2]", "", VST_LOCK_RWLOCK, false),
			    "journal_s.j_state_lock");
	/* where the compiler has made one function of two */
	assert_string_equal(taken("do_renameat2", "__x64_sys_rename", VST_LOCK_MUTEX, false),
			    "super_block.s_vfs_rename_mutex");
	/* of another type it takes another lock, which is not known */
	assert_null(taken("__schedule", "schedule", VST_LOCK_MUTEX, false));
	assert_null(taken("__sched", "", VST_LOCK_SPINLOCK, false));
	assert_null(taken("", "", VST_LOCK_SPINLOCK, false));
	/* one list's lock is told from another's by who calls */
	assert_string_equal(taken("list_lru_add_obj", "d_lru_add", VST_LOCK_SPINLOCK, false),
			    "super_block.s_dentry_lru");
	assert_string_equal(vst_lock_name_taken(&c, VST_LOCK_SPINLOCK, false, true), "super_block.s_inode_lru");
	assert_string_equal(taken("list_lru_add_obj", "", VST_LOCK_SPINLOCK, false), "list_lru_one.lock");
	/* a variable and a lock in memory, taken by one function */
	assert_string_equal(taken("evict", "iput", VST_LOCK_SPINLOCK, true), "inode_hash_lock");
	assert_string_equal(taken("evict", "iput", VST_LOCK_SPINLOCK, false), "super_block.s_inode_list_lock");
	assert_null(taken("insert_inode_locked", "", VST_LOCK_SPINLOCK, false));
	/* it takes the inode's lock too: only where that would have been told apart it is this one */
	c = (struct vst_lock_caller){ .name = "evict", .by = "iput" };
	assert_null(vst_lock_name_taken(&c, VST_LOCK_SPINLOCK, false, false));
}

/* No function is named twice for one type: the second row would never count. */
static void test_table_has_no_row_in_vain(void **state)
{
	static const struct {
		const char *lock, *by, *functions;
		enum vst_lock_type type;
	} table[] = {
#define X(l, t, h, b, f) { l, b, f, VST_LOCK_##t },
		VST_LOCK_TAKERS(X)
#undef X
	};
	char word[64];

	for (size_t i = 0; i < N(table); i++)
		for (const char *w = table[i].functions; *w; w += strcspn(w, " "), w += *w == ' ')
			for (size_t j = 0; j < i; j++) {
				snprintf(word, sizeof(word), "%.*s", (int)strcspn(w, " "), w);
				if (table[j].type == table[i].type && !*table[j].by &&
				    !strchr(table[j].lock, '.') == !strchr(table[i].lock, '.') &&
				    is_among(word, table[j].functions))
					fail_msg("%s takes %s and %s", word, table[j].lock, table[i].lock);
			}
}

/* --- the whole --- */

static const char *name(const struct vst_lock_class *class, enum vst_lock_type type, enum vst_lock_named_by by,
			bool opaque)
{
	static char buf[VST_LOCK_NAME];
	struct vst_lock_btf b = { .kernel = btf };
	bool is_opaque;

	assert_int_equal(vst_lock_name(&b, class, type, true, buf, &is_opaque), by);
	assert_int_equal(is_opaque, opaque);
	return buf;
}

static void test_the_best_name_that_can_be_had(void **state)
{
	struct vst_lock_class c = { .kind = VST_LOCK_KIND_STATIC, .name = "inode_hash_lock" };

	assert_string_equal(name(&c, VST_LOCK_SPINLOCK, VST_LOCK_BY_SYMBOL, false), "inode_hash_lock");
	/* a kernel without data symbols prints addresses */
	c = (struct vst_lock_class){ .kind = VST_LOCK_KIND_STATIC, .name = "0xffffffff83000000" };
	assert_string_equal(name(&c, VST_LOCK_SPINLOCK, VST_LOCK_BY_NONE, false), "unknown");
	c.n_callers = 2;
	c.callers[0] = (struct vst_lock_caller){ .ip = 1, .name = "somebody.cold", .by = "else" };
	c.callers[1] = (struct vst_lock_caller){ .ip = 2, .name = "d_move", .by = "vfs_rename" };
	assert_string_equal(name(&c, VST_LOCK_SPINLOCK, VST_LOCK_BY_CALLER, false), "rename_lock");
	c.n_callers = 1;
	assert_string_equal(name(&c, VST_LOCK_SPINLOCK, VST_LOCK_BY_CALLER, false), "somebody()");
	/* in an object of who knows what: the caller tells from now on */
	c = (struct vst_lock_class){ .kind = VST_LOCK_KIND_SLAB, .offset = 24, .name = "kmalloc-64" };
	assert_string_equal(name(&c, VST_LOCK_SPINLOCK, VST_LOCK_BY_CACHE, true), "kmalloc-64+24");
	c = (struct vst_lock_class){ .kind = VST_LOCK_KIND_CALLER, .a = 1 };
	assert_string_equal(name(&c, VST_LOCK_MUTEX, VST_LOCK_BY_NONE, false), "unknown");
}

static void route_is(const char *lock, enum vst_lock_type type, enum vst_lock_object_kind kind, int offset, __u32 n,
		     __u32 first, __u32 second)
{
	struct vst_lock_route r = { 0 };

	assert_int_equal(route_find(btf, lock, type, &r), 0);
	assert_int_equal(r.kind, kind);
	assert_int_equal(r.offset, offset);
	assert_int_equal(r.n, n);
	assert_int_equal(r.step[0], first);
	assert_int_equal(r.step[1], second);
}

static void test_from_a_lock_to_its_object(void **state)
{
	struct vst_lock_route r;

	route_is("inode.i_rwsem", VST_LOCK_RWSEM, VST_LOCK_OBJECT_INODE, -40, 0, 0, 0);
	route_is("ext4_inode_info.vfs_inode.i_rwsem", VST_LOCK_RWSEM, VST_LOCK_OBJECT_INODE, -40, 0, 0, 0);
	route_is("ext4_inode_info.i_data_sem", VST_LOCK_RWSEM, VST_LOCK_OBJECT_INODE, 100, 0, 0, 0);
	route_is("super_block.s_inode_list_lock", VST_LOCK_SPINLOCK, VST_LOCK_OBJECT_SUPER, -8, 0, 0, 0);
	route_is("journal_s.j_state_lock", VST_LOCK_SPINLOCK, VST_LOCK_OBJECT_SUPER, -16, 1, 32, 0);
	route_is("transaction_s.t_handle_lock", VST_LOCK_SPINLOCK, VST_LOCK_OBJECT_SUPER, -24, 2, 8, 32);
	/* no such member, no such type of lock there, nothing known of the structure */
	assert_int_equal(route_find(btf, "inode.i_lock", VST_LOCK_SPINLOCK, &r), -ENOENT);
	assert_int_equal(route_find(btf, "inode.i_rwsem", VST_LOCK_SPINLOCK, &r), -ENOENT);
	assert_int_equal(route_find(btf, "box.guard", VST_LOCK_SPINLOCK, &r), -ENOENT);
	assert_int_equal(route_find(btf, "nothing.at_all", VST_LOCK_SPINLOCK, &r), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_member_by_its_offset),
		cmocka_unit_test(test_what_is_no_such_lock_has_no_name),
		cmocka_unit_test(test_structures_of_caches),
		cmocka_unit_test(test_who_takes_what),
		cmocka_unit_test(test_table_has_no_row_in_vain),
		cmocka_unit_test(test_the_best_name_that_can_be_had),
		cmocka_unit_test(test_from_a_lock_to_its_object),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
