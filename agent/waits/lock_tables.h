/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is known of the kernel's locks that nothing on the host tells: which structure a slab cache holds, which lock
 * a function takes. Functions are those of Linux 6.1 to 6.18; one that a kernel does not have never matches.
 */
#ifndef VST_LOCK_TABLES_H
#define VST_LOCK_TABLES_H

/*
 * Slab caches of which every object is one structure. X("cache", "structure", "module that may define it")
 * Not here: what kmalloc() gives, and caches without a constructor that the kernel may merge with others of their size.
 */
#define VST_LOCK_CACHES(X)                                                                                             \
	X("dentry", "dentry", "")                                                                                      \
	X("inode_cache", "inode", "")                                                                                  \
	X("ext4_inode_cache", "ext4_inode_info", "ext4")                                                               \
	X("xfs_inode", "xfs_inode", "xfs")                                                                             \
	X("btrfs_inode", "btrfs_inode", "btrfs")                                                                       \
	X("ovl_inode", "ovl_inode", "overlay")                                                                         \
	X("fuse_inode", "fuse_inode", "fuse")                                                                          \
	X("shmem_inode_cache", "shmem_inode_info", "")                                                                 \
	X("proc_inode_cache", "proc_inode", "")                                                                        \
	X("sock_inode_cache", "socket_alloc", "")                                                                      \
	X("bdev_cache", "bdev_inode", "")                                                                              \
	X("kernfs_node_cache", "kernfs_node", "")                                                                      \
	X("filp", "file", "")                                                                                          \
	X("files_cache", "files_struct", "")                                                                           \
	X("fs_cache", "fs_struct", "")                                                                                 \
	X("mm_struct", "mm_struct", "")                                                                                \
	X("vm_area_struct", "vm_area_struct", "")                                                                      \
	X("anon_vma", "anon_vma", "")                                                                                  \
	X("task_struct", "task_struct", "")                                                                            \
	X("signal_cache", "signal_struct", "")                                                                         \
	X("sighand_cache", "sighand_struct", "")                                                                       \
	X("request_queue", "request_queue", "")                                                                        \
	X("blkdev_ioc", "io_context", "")                                                                              \
	X("ext4_groupinfo_1k", "ext4_group_info", "ext4")                                                              \
	X("ext4_groupinfo_2k", "ext4_group_info", "ext4")                                                              \
	X("ext4_groupinfo_4k", "ext4_group_info", "ext4")                                                              \
	X("jbd2_journal_head", "journal_head", "jbd2")                                                                 \
	X("jbd2_transaction_s", "transaction_s", "jbd2")                                                               \
	X("xfs_buf", "xfs_buf", "xfs")                                                                                 \
	X("xfs_ili", "xfs_inode_log_item", "xfs")                                                                      \
	X("btrfs_extent_buffer", "extent_buffer", "btrfs")                                                             \
	X("btrfs_delayed_node", "btrfs_delayed_node", "btrfs")                                                         \
	X("btrfs_ordered_extent", "btrfs_ordered_extent", "btrfs")                                                     \
	X("kioctx", "kioctx", "")                                                                                      \
	X("pid_namespace", "pid_namespace", "")

/*
 * From a structure to the file, file system or disk that its locks are about: a member that lies in it ("": itself), then
 * pointers one after the other. The first row whose members a kernel has counts.
 * X("structure", "module that may define it", "member", "pointers", kind)
 */
#define VST_LOCK_ROUTES(X)                                                                                             \
	X("inode", "", "", "", INODE)                                                                                  \
	X("ext4_inode_info", "ext4", "vfs_inode", "", INODE)                                                           \
	X("xfs_inode", "xfs", "i_vnode", "", INODE)                                                                    \
	X("btrfs_inode", "btrfs", "vfs_inode", "", INODE)                                                              \
	X("ovl_inode", "overlay", "vfs_inode", "", INODE)                                                              \
	X("fuse_inode", "fuse", "inode", "", INODE)                                                                    \
	X("shmem_inode_info", "", "vfs_inode", "", INODE)                                                              \
	X("proc_inode", "", "vfs_inode", "", INODE)                                                                    \
	X("dentry", "", "", "d_inode", INODE)                                                                          \
	X("super_block", "", "", "", SUPER)                                                                            \
	X("ext4_sb_info", "ext4", "", "s_sb", SUPER)                                                                   \
	X("journal_s", "jbd2", "", "j_private", SUPER)                                                                 \
	X("transaction_s", "jbd2", "", "t_journal j_private", SUPER)                                                   \
	X("xfs_mount", "xfs", "", "m_super", SUPER)                                                                    \
	X("xfs_buf", "xfs", "", "b_mount m_super", SUPER)                                                              \
	X("xfs_perag", "xfs", "", "pag_mount m_super", SUPER)                                                          \
	X("xfs_perag", "xfs", "", "pag_group.xg_mount m_super", SUPER)                                                 \
	X("xfs_cil", "xfs", "", "xc_log l_mp m_super", SUPER)                                                          \
	X("xlog", "xfs", "", "l_mp m_super", SUPER)                                                                    \
	X("xfs_ail", "xfs", "", "ail_log l_mp m_super", SUPER)                                                         \
	X("btrfs_fs_info", "btrfs", "", "sb", SUPER)                                                                   \
	X("btrfs_root", "btrfs", "", "fs_info sb", SUPER)                                                              \
	X("btrfs_space_info", "btrfs", "", "fs_info sb", SUPER)                                                        \
	X("extent_buffer", "btrfs", "", "fs_info sb", SUPER)                                                           \
	X("request_queue", "", "", "", QUEUE)                                                                          \
	X("blk_mq_hw_ctx", "", "", "queue", QUEUE)                                                                     \
	X("blk_mq_ctx", "", "", "queue", QUEUE)                                                                        \
	X("bfq_data", "bfq", "", "queue", QUEUE)

/*
 * Which lock a function takes: the first function outside lock code in the stack, if one of the second list called it, or
 * called its caller ("": whoever did). The first row that fits counts. A lock without a dot is a variable, and no lock in
 * memory is one. X("lock", TYPE, how sure, "called by", "functions")
 *	ALONE	of this type they take no other in memory
 *	MEMBER	they take others too, but those are members of what slab caches hold: it is this one if the lock is none of them
 */
/* clang-format off */
#define VST_LOCK_TAKERS(X) \
	/* files and directories */ \
	X("inode_hash_lock", SPINLOCK, ALONE, "", \
	  "evict insert_inode_locked insert_inode_locked4 inode_insert5 iget_locked iget5_locked " \
	  "ilookup ilookup5 find_inode_nowait __remove_inode_hash __insert_inode_hash " \
	  "ilookup5_nowait") \
	X("super_block.s_inode_list_lock", SPINLOCK, ALONE, "", \
	  "inode_sb_list_add") \
	X("super_block.s_inode_list_lock", SPINLOCK, MEMBER, "", \
	  "evict evict_inodes drop_pagecache_sb new_inode") \
	X("super_block.s_dentry_lru", SPINLOCK, ALONE, "d_lru_add d_lru_del retain_dentry dput fast_dput d_shrink_del dentry_lru_isolate to_shrink_list prune_dcache_sb __dentry_kill", \
	  "list_lru_add list_lru_add_obj list_lru_del list_lru_del_obj list_lru_walk_one") \
	X("super_block.s_inode_lru", SPINLOCK, ALONE, "inode_add_lru __inode_add_lru inode_lru_list_add inode_lru_list_del evict iput prune_icache_sb", \
	  "list_lru_add list_lru_add_obj list_lru_del list_lru_del_obj list_lru_walk_one") \
	X("list_lru_one.lock", SPINLOCK, ALONE, "", \
	  "list_lru_add list_lru_add_obj list_lru_del list_lru_del_obj list_lru_walk_one " \
	  "__list_lru_walk_one lock_list_lru_of_memcg") \
	X("rename_lock", SPINLOCK, ALONE, "", \
	  "d_move d_exchange d_splice_alias d_walk is_subdir") \
	X("super_block.s_vfs_rename_mutex", MUTEX, ALONE, "", \
	  "lock_rename lock_rename_child do_renameat2") \
	X("super_block.s_inode_wblist_lock", SPINLOCK, ALONE, "", \
	  "sb_mark_inode_writeback sb_clear_inode_writeback") \
	X("super_block.s_umount", RWSEM, ALONE, "", \
	  "super_lock grab_super iterate_supers deactivate_super") \
	X("super_block.s_writers.rw_sem", PERCPU_RWSEM, ALONE, "", \
	  "mnt_want_write mnt_want_write_file freeze_super sb_wait_write vfs_write vfs_writev " \
	  "vfs_iter_write vfs_fallocate aio_write do_splice do_ftruncate do_sys_ftruncate " \
	  "filemap_page_mkwrite ext4_page_mkwrite ext4_evict_inode xfs_trans_alloc") \
	X("sb_lock", SPINLOCK, ALONE, "", \
	  "get_super user_get_super put_super drop_super __iterate_supers") \
	X("mount_lock", SPINLOCK, ALONE, "", \
	  "mntput_no_expire lock_mount_hash") \
	X("namespace_sem", RWSEM, ALONE, "", \
	  "namespace_lock lock_mount do_lock_mount m_start") \
	X("bdi_writeback.list_lock", SPINLOCK, MEMBER, "", \
	  "__mark_inode_dirty locked_inode_to_wb_and_lock_list inode_io_list_del wb_writeback " \
	  "writeback_sb_inodes queue_io wb_check_old_data_flush inode_cgwb_move_to_attached " \
	  "writeback_single_inode") \
	X("kernfs_root.kernfs_rwsem", RWSEM, ALONE, "", \
	  "kernfs_iop_lookup kernfs_dop_revalidate kernfs_remove kernfs_remove_by_name_ns " \
	  "kernfs_fop_readdir kernfs_find_and_get_ns kernfs_walk_and_get_ns") \
	X("pipe_inode_info.mutex", MUTEX, ALONE, "", \
	  "pipe_write pipe_read pipe_lock pipe_release anon_pipe_write anon_pipe_read fifo_open") \
	X("eventpoll.mtx", MUTEX, ALONE, "", \
	  "do_epoll_ctl ep_send_events ep_eventpoll_release") \
	X("eventpoll.lock", SPINLOCK, ALONE, "", \
	  "ep_poll_callback ep_done_scan ep_start_scan do_epoll_wait") \
	X("eventpoll.lock", RWLOCK, ALONE, "", \
	  "ep_poll_callback ep_done_scan ep_start_scan do_epoll_wait") \
	/* ext4 and its journal */ \
	X("journal_s.j_state_lock", RWLOCK, ALONE, "", \
	  "start_this_handle add_transaction_credits jbd2_journal_commit_transaction " \
	  "jbd2_log_wait_commit jbd2_log_start_commit jbd2_complete_transaction " \
	  "jbd2__journal_restart jbd2_journal_extend jbd2_trans_will_send_data_barrier " \
	  "__jbd2_log_wait_for_space jbd2_journal_lock_updates jbd2_journal_unlock_updates " \
	  "jbd2_transaction_committed jbd2_fc_begin_commit jbd2_journal_start_commit " \
	  "jbd2_journal_force_commit kjournald2 jbd2_journal_get_log_tail __jbd2_update_log_tail " \
	  "jbd2_journal_next_log_block") \
	X("journal_s.j_list_lock", SPINLOCK, ALONE, "", \
	  "jbd2_journal_release_jbd_inode jbd2_journal_file_inode jbd2_log_do_checkpoint " \
	  "jbd2_journal_destroy jbd2_journal_begin_ordered_truncate " \
	  "jbd2_journal_shrink_checkpoint_list jbd2_journal_inode_ranged_write " \
	  "jbd2_journal_inode_ranged_wait jbd2_journal_get_log_tail " \
	  "journal_finish_inode_data_buffers journal_submit_data_buffers") \
	X("journal_s.j_list_lock", SPINLOCK, MEMBER, "", \
	  "do_get_write_access jbd2_journal_refile_buffer jbd2_journal_dirty_metadata " \
	  "jbd2_journal_forget jbd2_journal_get_create_access jbd2_journal_try_to_free_buffers " \
	  "jbd2_journal_invalidate_folio jbd2_journal_file_buffer jbd2_journal_unfile_buffer " \
	  "jbd2_journal_commit_transaction") \
	X("journal_s.j_revoke_lock", SPINLOCK, ALONE, "", \
	  "jbd2_journal_cancel_revoke jbd2_journal_revoke insert_revoke_hash find_revoke_record") \
	X("journal_s.j_checkpoint_mutex", MUTEX, ALONE, "", \
	  "__jbd2_log_wait_for_space jbd2_journal_flush jbd2_journal_commit_transaction " \
	  "jbd2_update_log_tail") \
	X("journal_s.j_barrier", MUTEX, ALONE, "", \
	  "jbd2_journal_lock_updates") \
	X("ext4_sb_info.s_orphan_lock", MUTEX, ALONE, "", \
	  "ext4_orphan_add ext4_orphan_del") \
	X("ext4_sb_info.s_blockgroup_lock", SPINLOCK, MEMBER, "", \
	  "__ext4_new_inode ext4_free_inode ext4_mark_inode_used ext4_init_inode_table " \
	  "ext4_read_inode_bitmap ext4_read_block_bitmap_nowait ext4_free_blocks ext4_mb_clear_bb " \
	  "ext4_mb_init_cache ext4_mb_mark_context ext4_mb_mark_diskspace_used ext4_mb_mark_bb " \
	  "ext4_mb_try_best_found ext4_mb_find_by_goal ext4_mb_good_group_nolock " \
	  "ext4_mb_scan_group ext4_group_add_blocks ext4_trim_extent ext4_try_to_trim_range") \
	X("ext4_sb_info.s_md_lock", SPINLOCK, ALONE, "", \
	  "ext4_mb_use_best_found ext4_mb_free_metadata") \
	X("ext4_sb_info.s_es_lock", SPINLOCK, ALONE, "", \
	  "ext4_es_list_add ext4_es_list_del ext4_es_free_extent ext4_es_scan __es_shrink") \
	X("ext4_group_info.alloc_sem", RWSEM, ALONE, "", \
	  "__ext4_new_inode ext4_init_inode_table") \
	X("ext4_sb_info.s_writepages_rwsem", PERCPU_RWSEM, ALONE, "", \
	  "ext4_writepages ext4_writepages_down_read ext4_change_inode_journal_flag " \
	  "ext4_dax_writepages ext4_ext_migrate ext4_ind_migrate") \
	/* xfs */ \
	X("xfs_cil.xc_ctx_lock", RWSEM, ALONE, "", \
	  "xlog_cil_commit xlog_cil_push_work") \
	X("xfs_cil.xc_push_lock", SPINLOCK, ALONE, "", \
	  "xlog_cil_push_now xlog_cil_push_background xlog_cil_order_write xlog_cil_force_seq " \
	  "xlog_cil_empty") \
	X("xfs_ail.ail_lock", SPINLOCK, ALONE, "", \
	  "xfs_trans_ail_delete xfs_trans_ail_insert xfs_ail_min_lsn xfs_ail_push_all_sync " \
	  "xfs_trans_committed_bulk xlog_cil_ail_insert xfsaild xfsaild_push " \
	  "xfs_iflush_ail_updates xfs_ail_check") \
	X("xlog.l_icloglock", SPINLOCK, ALONE, "", \
	  "xlog_write xlog_write_get_more_iclog_space xlog_state_get_iclog_space " \
	  "xlog_state_release_iclog xlog_state_do_callback xlog_state_do_iclog_callbacks " \
	  "xlog_state_done_syncing xlog_state_shutdown_callbacks xfs_log_force xfs_log_force_seq " \
	  "xlog_force_lsn xlog_ioend_work") \
	X("xlog_grant_head.lock", SPINLOCK, ALONE, "", \
	  "xlog_grant_head_check xlog_grant_head_wait xfs_log_space_wake xlog_grant_head_wake_all " \
	  "xfs_log_reserve xfs_log_regrant") \
	X("xfs_perag.pag_ici_lock", SPINLOCK, MEMBER, "", \
	  "xfs_icwalk_ag xfs_iget xfs_iget_cache_miss xfs_iget_cache_hit xfs_inodegc_set_reclaimable " \
	  "xfs_reclaim_inode xfs_inode_set_eofblocks_tag xfs_blockgc_set_iflag " \
	  "xfs_blockgc_clear_iflag") \
	X("xfs_mount.m_sb_lock", SPINLOCK, ALONE, "", \
	  "xfs_mod_freecounter xfs_trans_unreserve_and_mod_sb") \
	X("xfs_ail.ail_lock", SPINLOCK, MEMBER, "", \
	  "xfs_buf_inode_iodone") \
	/* btrfs */ \
	X("extent_buffer.lock", RWSEM, ALONE, "", \
	  "__btrfs_tree_read_lock __btrfs_tree_lock btrfs_tree_read_lock_nested " \
	  "btrfs_tree_lock_nested btrfs_tree_read_lock btrfs_tree_lock") \
	X("btrfs_space_info.lock", SPINLOCK, ALONE, "", \
	  "__reserve_bytes btrfs_reserve_metadata_bytes btrfs_preempt_reclaim_metadata_space " \
	  "btrfs_async_reclaim_metadata_space flush_space wait_reserve_ticket " \
	  "btrfs_space_info_free_bytes_may_use " \
	  "handle_reserve_ticket") \
	X("btrfs_block_rsv.lock", SPINLOCK, ALONE, "", \
	  "btrfs_block_rsv_use_bytes btrfs_block_rsv_add_bytes btrfs_block_rsv_check " \
	  "btrfs_block_rsv_refill") \
	X("btrfs_fs_info.trans_lock", SPINLOCK, ALONE, "", \
	  "join_transaction wait_current_trans btrfs_wait_for_commit transaction_kthread " \
	  "start_transaction") \
	X("btrfs_fs_info.reloc_mutex", MUTEX, ALONE, "", \
	  "btrfs_record_root_in_trans") \
	X("btrfs_root.log_mutex", MUTEX, ALONE, "", \
	  "start_log_trans btrfs_log_inode_parent join_running_log_trans") \
	X("btrfs_fs_info.chunk_mutex", MUTEX, ALONE, "", \
	  "btrfs_chunk_alloc btrfs_reserve_chunk_metadata") \
	/* memory */ \
	X("lruvec.lru_lock", SPINLOCK, ALONE, "", \
	  "folio_lruvec_lock folio_lruvec_lock_irq folio_lruvec_lock_irqsave shrink_inactive_list " \
	  "shrink_active_list move_folios_to_lru lru_note_cost lru_note_cost_refault evict_folios") \
	X("zone.lock", SPINLOCK, ALONE, "", \
	  "rmqueue_bulk rmqueue get_page_from_freelist free_pcppages_bulk free_one_page " \
	  "__free_pages_ok free_unref_page_commit __rmqueue_pcplist " \
	  "unreserve_highatomic_pageblock free_frozen_page_commit") \
	X("kmem_cache_node.list_lock", SPINLOCK, ALONE, "", \
	  "__slab_free get_partial_node ___slab_alloc __put_partials put_partials deactivate_slab " \
	  "__unfreeze_partials get_partial get_any_partial free_to_partial_list " \
	  "__kmem_cache_do_shrink") \
	X("node_barn.lock", SPINLOCK, ALONE, "", \
	  "barn_put_empty_sheaf barn_put_full_sheaf barn_get_empty_sheaf barn_replace_empty_sheaf " \
	  "barn_replace_full_sheaf") \
	X("pgd_lock", SPINLOCK, ALONE, "", \
	  "pgd_alloc pgd_free sync_global_pgds") \
	X("ptdesc.ptl", SPINLOCK, ALONE, "", \
	  "__pte_offset_map_lock pte_offset_map_lock __pte_alloc do_anonymous_page finish_fault " \
	  "zap_pte_range filemap_map_pages do_wp_page wp_page_copy copy_pte_range do_swap_page " \
	  "__handle_mm_fault do_huge_pmd_anonymous_page") \
	X("mm_struct.page_table_lock", SPINLOCK, ALONE, "", \
	  "__pmd_alloc __pud_alloc __p4d_alloc") \
	X("mm_struct.mmap_lock", RWSEM, ALONE, "", \
	  "lock_mm_and_find_vma vm_mmap_pgoff __vm_munmap do_madvise mmap_read_lock " \
	  "mmap_write_lock do_mprotect_pkey __do_sys_brk exit_mmap process_vm_rw_core " \
	  "__access_remote_vm do_user_addr_fault") \
	X("pcpu_lock", SPINLOCK, ALONE, "", \
	  "pcpu_alloc pcpu_alloc_noprof free_percpu pcpu_balance_workfn") \
	X("pcpu_alloc_mutex", MUTEX, ALONE, "", \
	  "pcpu_alloc pcpu_alloc_noprof pcpu_balance_workfn") \
	X("shrinker_rwsem", RWSEM, ALONE, "", \
	  "shrink_slab register_shrinker unregister_shrinker prealloc_shrinker shrink_slab_memcg") \
	X("cgroup_rstat_lock", SPINLOCK, ALONE, "", \
	  "cgroup_rstat_flush cgroup_rstat_flush_hold __cgroup_rstat_lock " \
	  "cgroup_rstat_flush_locked") \
	X("percpu_counter.lock", SPINLOCK, ALONE, "", \
	  "percpu_counter_add_batch __percpu_counter_sum") \
	/* block layer */ \
	X("sbitmap_word.swap_lock", SPINLOCK, ALONE, "", \
	  "sbitmap_find_bit sbitmap_find_bit_in_index sbitmap_deferred_clear") \
	X("blk_mq_hw_ctx.lock", SPINLOCK, ALONE, "", \
	  "blk_mq_dispatch_rq_list blk_mq_request_bypass_insert __blk_mq_sched_dispatch_requests " \
	  "blk_mq_insert_request blk_mq_hctx_notify_dead") \
	X("blk_mq_ctx.lock", SPINLOCK, ALONE, "", \
	  "blk_mq_insert_requests flush_busy_ctx dispatch_rq_from_ctx blk_mq_sched_bio_merge") \
	X("deadline_data.lock", SPINLOCK, ALONE, "", \
	  "dd_insert_requests dd_dispatch_request dd_bio_merge") \
	X("bfq_data.lock", SPINLOCK, ALONE, "", \
	  "bfq_insert_requests bfq_dispatch_request bfq_finish_requeue_request bfq_bio_merge " \
	  "bfq_idle_slice_timer bfq_insert_request bfq_limit_depth bfqq_request_over_limit") \
	X("blk_flush_queue.mq_flush_lock", SPINLOCK, ALONE, "", \
	  "blk_insert_flush flush_end_io mq_flush_data_end_io") \
	X("ioc.lock", SPINLOCK, ALONE, "", \
	  "iocg_activate") \
	X("loop_device.lo_work_lock", SPINLOCK, ALONE, "", \
	  "loop_queue_rq loop_queue_work loop_process_work loop_workfn loop_free_idle_workers") \
	X("loop_device.lo_mutex", MUTEX, ALONE, "", \
	  "lo_open lo_release") \
	X("loop_device.lo_mutex", MUTEX, MEMBER, "", \
	  "lo_ioctl loop_configure") \
	/* waiting itself */ \
	X("eventfd_ctx.wqh.lock", SPINLOCK, ALONE, "", \
	  "eventfd_write eventfd_read eventfd_signal_mask") \
	X("wait_queue_head.lock", SPINLOCK, ALONE, "", \
	  "prepare_to_wait prepare_to_wait_exclusive prepare_to_wait_event finish_wait __wake_up " \
	  "__wake_up_common_lock add_wait_queue remove_wait_queue add_wait_queue_exclusive " \
	  "__wake_up_sync_key folio_wait_bit_common folio_wake_bit") \
	X("swait_queue_head.lock", SPINLOCK, ALONE, "", \
	  "swake_up_one swake_up_all prepare_to_swait_event prepare_to_swait_exclusive " \
	  "finish_swait complete complete_all wait_for_completion complete_with_flags " \
	  "wait_for_completion_io wait_for_completion_timeout wait_for_completion_io_timeout " \
	  "__wait_for_common") \
	X("mutex.wait_lock", SPINLOCK, ALONE, "", \
	  "__mutex_lock __mutex_lock_slowpath __mutex_unlock_slowpath __ww_mutex_lock") \
	X("rw_semaphore.wait_lock", SPINLOCK, ALONE, "", \
	  "rwsem_down_read_slowpath rwsem_down_write_slowpath rwsem_wake rwsem_downgrade_wake") \
	X("percpu_rw_semaphore.waiters.lock", SPINLOCK, ALONE, "", \
	  "percpu_rwsem_wait") \
	X("semaphore.lock", SPINLOCK, ALONE, "", \
	  "down up down_interruptible down_killable down_trylock down_timeout __down_common") \
	X("futex_hash_bucket.lock", SPINLOCK, ALONE, "", \
	  "futex_wake futex_wait_setup futex_q_lock futex_requeue futex_wake_op futex_unqueue " \
	  "__futex_wait") \
	/* scheduler, timers, RCU, processes */ \
	X("rq.__lock", SPINLOCK, ALONE, "", \
	  "__schedule move_queued_task raw_spin_rq_lock_nested _raw_spin_rq_lock_irqsave raw_spin_rq_trylock " \
	  "__task_rq_lock double_rq_lock sched_balance_rq load_balance sched_balance_newidle " \
	  "newidle_balance sched_balance_update_blocked_averages update_blocked_averages " \
	  "sched_tick scheduler_tick sched_ttwu_pending active_load_balance_cpu_stop " \
	  "nohz_idle_balance rq_attach_root online_fair_sched_group unregister_fair_sched_group") \
	X("rq.__lock", SPINLOCK, MEMBER, "", \
	  "try_to_wake_up task_rq_lock wake_up_new_task migration_cpu_stop") \
	X("rcu_node.lock", SPINLOCK, ALONE, "", \
	  "rcu_gp_init rcu_gp_cleanup rcu_report_qs_rnp rcu_report_qs_rdp note_gp_changes " \
	  "rcu_core force_qs_rnp rcu_gp_fqs_loop rcu_note_context_switch " \
	  "rcu_accelerate_cbs_unlocked rcu_read_unlock_special rcu_gp_kthread rcu_start_this_gp " \
	  "rcu_gp_fqs") \
	X("timer_base.lock", SPINLOCK, ALONE, "", \
	  "lock_timer_base run_timer_softirq __run_timers __run_timer_base run_timer_base " \
	  "expire_timers get_next_timer_interrupt __get_next_timer_interrupt " \
	  "timer_base_try_to_set_idle add_timer_on __mod_timer") \
	X("hrtimer_cpu_base.lock", SPINLOCK, ALONE, "", \
	  "hrtimer_start_range_ns hrtimer_interrupt lock_hrtimer_base hrtimer_run_queues " \
	  "__hrtimer_run_queues hrtimer_try_to_cancel hrtimer_run_softirq hrtimer_get_next_event " \
	  "hrtimer_next_event_without") \
	X("tmigr_group.lock", SPINLOCK, ALONE, "", \
	  "tmigr_handle_remote tmigr_inactive_up tmigr_update_events tmigr_handle_remote_cpu " \
	  "tmigr_handle_remote_up tmigr_cpu_activate tmigr_cpu_deactivate") \
	X("jiffies_lock", SPINLOCK, ALONE, "", \
	  "tick_do_update_jiffies64") \
	X("worker_pool.lock", SPINLOCK, ALONE, "", \
	  "worker_thread __queue_work process_one_work wq_worker_sleeping idle_worker_timeout " \
	  "pool_mayday_timeout try_to_grab_pending start_flush_work __flush_workqueue work_busy " \
	  "flush_workqueue_prep_pwqs") \
	X("workqueue_struct.mutex", MUTEX, ALONE, "", \
	  "__flush_workqueue") \
	X("tasklist_lock", RWLOCK, ALONE, "", \
	  "release_task copy_process do_wait __do_wait exit_notify do_exit wait_task_zombie " \
	  "de_thread ksys_setsid forget_original_parent reparent_leader __do_sys_setpgid") \
	X("pidmap_lock", SPINLOCK, ALONE, "", \
	  "alloc_pid free_pid") \
	X("css_set_lock", SPINLOCK, ALONE, "", \
	  "cgroup_post_fork cgroup_exit find_css_set cgroup_css_set_fork cgroup_migrate_execute " \
	  "cgroup_release css_task_iter_start css_task_iter_next put_css_set cgroup_attach_task " \
	  "proc_cgroup_show css_task_iter_end") \
	X("cgroup_mutex", MUTEX, ALONE, "", \
	  "cgroup_kn_lock_live cgroup_lock proc_cgroup_show css_killed_work_fn " \
	  "css_release_work_fn cgroup_css_set_fork cgroup_lock_and_drain_offline " \
	  "cgroup_attach_task_all") \
	X("cgroup_threadgroup_rwsem", PERCPU_RWSEM, ALONE, "", \
	  "cgroup_attach_lock cgroup_procs_write_start exit_signals begin_new_exec " \
	  "cgroup_css_set_fork de_thread cgroup_can_fork cgroup_update_dfl_csses") \
	X("cpu_hotplug_lock", PERCPU_RWSEM, ALONE, "", \
	  "cpus_read_lock cpus_write_lock") \
	/* VST_LOCK_TABLES_H */
/* clang-format on */

#endif /* VST_LOCK_TABLES_H */
