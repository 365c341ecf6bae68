#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Do the unit tests notice mistakes? Makes one mistake at a time in a copy of the
# module's files and runs the tests until one fails. A mutant that none notices
# is a failure, and so is one that cannot be made any more because the module
# has changed: adapt it then.
#
# usage: mutants.sh [-l] [PATTERN]
#
#   -l       list the mutants
#   PATTERN  only those whose "file: description" matches this shell pattern
#
# KTAP output. Takes some seconds for each mutant.

set -euo pipefail
cd "$(dirname "$0")"

names=()
files=()
edits=()

# mutant FILE DESCRIPTION SED-SCRIPT; "tlb" is tlb.c, the header's name is "tlb.h".
mutant() {
	local file=$1

	[[ $file == *.h ]] || file+=.c
	names+=("${file%.*}: $2")
	files+=("$file")
	edits+=("$3")
}

define_ring() {
	mutant ring "start takes one entry too many" \
		's/(u16)(base - used_idx) > ring->num/& + 1/'
	mutant ring "start takes one entry too few" \
		's/(u16)(base - used_idx) > ring->num/& - 1/'
	mutant ring "start leaves kicks as they are" \
		'/^int vhost_blk_ring_start/,/^}/s/kicks_off = true/kicks_off = false/'
	mutant ring "start forgets entries not yet used" \
		's/ring->used_next = used_idx/ring->used_next = base/'
	mutant ring "start leaves the index of the last interrupt" \
		'/^int vhost_blk_ring_start/,/^}/{/call_idx = used_idx/d}'
	mutant ring "start takes the driver's index for its own" \
		's/ring->avail_idx = base;/ring->avail_idx = base + 1;/'
	mutant ring "no check of the distance of the index" \
		's/(u16)(idx - ring->last_avail) > ring->num/false/'
	mutant ring "index may be one too far" \
		's/(u16)(idx - ring->last_avail) > ring->num/& + 1/'
	mutant ring "full ring is refused" \
		's/(u16)(idx - ring->last_avail) > ring->num/(u16)(idx - ring->last_avail) >= ring->num/'
	mutant ring "distance of the index is not cut to 16 bits" \
		's/(u16)(idx - ring->last_avail) > ring->num/idx - ring->last_avail > (int)ring->num/'
	mutant ring "no check of the head" \
		's/if (id >= ring->num)/if (false)/'
	mutant ring "head may be one too large" \
		's/if (id >= ring->num)/if (id > ring->num)/'
	mutant ring "entry of a bad head is taken" \
		's/^\(\s*\)if (id >= ring->num)/\1ring->last_avail += id >= ring->num;\n&/'
	mutant ring "fetch forgets that indexes wrap" \
		's/return (u16)(ring->avail_idx - ring->last_avail);/return ring->avail_idx - ring->last_avail;/'
	mutant ring "fetch looks for more too early" \
		'/^int vhost_blk_ring_fetch/,/^}/s/if (ring->avail_idx == ring->last_avail) {/if (true) {/'
	mutant ring "slot is not cut to the ring's size" \
		's/ring->last_avail & (ring->num - 1)/ring->last_avail \& ring->num/'
	mutant ring "entry is not consumed" \
		'/WRITE_ONCE(ring->last_avail, ring->last_avail + 1);/d'
	mutant ring "next may be one too large" \
		's/i >= num || seen++ >= num/i > num || seen++ >= num/'
	mutant ring "no check of next" \
		's/i >= num || seen++ >= num/seen++ >= num/'
	mutant ring "no end to a circle" \
		's/i >= num || seen++ >= num/i >= num/'
	mutant ring "chain may not be as long as the ring" \
		's/seen++ >= num/seen++ >= num - 1/'
	mutant ring "table in a table" \
		's/ || table == chain->table//'
	mutant ring "table although not negotiated" \
		's/!ring->indirect || //'
	mutant ring "table with next" \
		's/^\(\s*\)flags & VRING_DESC_F_NEXT)$/\1false)/'
	mutant ring "table of a part of an entry" \
		's/!len || len % sizeof(struct vring_desc) ||/!len ||/'
	mutant ring "table larger than its copy" \
		's/len > sizeof(chain->table))/false)/'
	mutant ring "largest table is refused" \
		's/len > sizeof(chain->table))/len >= sizeof(chain->table))/'
	mutant ring "unreadable table is used" \
		's/if (vhost_blk_view_read(ring->view, gpa, chain->table, len))/if (vhost_blk_view_read(ring->view, gpa, chain->table, len) \&\& false)/'
	mutant ring "table has the ring's size" \
		'/^\s*num = ret;$/d'
	mutant ring "descriptors before the table count" \
		'/^\s*seen = 0;$/d'
	mutant ring "table starts with next" \
		'/^\s*i = 0;$/d'
	mutant ring "readable after writable" \
		's/if (chain->nr_in)/if (false)/'
	mutant ring "too many descriptors" \
		's/if (nr == VHOST_BLK_MAX_DESC)/if (nr == VHOST_BLK_MAX_DESC + 1)/'
	mutant ring "most descriptors are refused" \
		's/if (nr == VHOST_BLK_MAX_DESC)/if (nr == VHOST_BLK_MAX_DESC - 1)/'
	mutant ring "empty descriptor counts" \
		's/^\tif (!len)$/\tif (false)/'
	mutant ring "write flag is turned round" \
		's/flags & VRING_DESC_F_WRITE)/!(flags \& VRING_DESC_F_WRITE))/'
	mutant ring "lengths do not add up" \
		's/chain->in_len += len/chain->in_len = len/'
	mutant ring "lengths add up in 32 bits" \
		's/chain->out_len += len/chain->out_len = (u32)(chain->out_len + len)/'
	mutant ring "length is read twice" \
		's/vhost_blk_chain_add(chain, gpa, len,/vhost_blk_chain_add(chain, gpa, __virtio32_to_cpu(le, READ_ONCE(desc->len)),/'
	mutant ring "address is read twice" \
		's/vhost_blk_chain_add(chain, gpa, len,/vhost_blk_chain_add(chain, __virtio64_to_cpu(le, desc->addr), len,/'
	mutant ring "head is read twice" \
		's/chain->id = id;/chain->id = vhost_blk_ring_16(ring, ring->avail->ring[slot]);/'
	mutant ring "little endian only" \
		's/__virtio16_to_cpu(ring->little_endian, val)/__virtio16_to_cpu(true, val)/'
	mutant ring "used length in the wrong byte order" \
		's/__cpu_to_virtio32(le, len)/__cpu_to_virtio32(true, len)/'
	mutant ring "used slot is not cut to the ring's size" \
		's/ring->used_next & (ring->num - 1)/ring->used_next % (ring->num + 1)/'
	mutant ring "push shows the entry" \
		's/^\tring->used_next++;/&\n\tring->used->idx = vhost_blk_ring_to16(ring, ring->used_next);/'
	mutant ring "need_event the other way round" \
		's/vring_need_event(event, ring->used_idx, ring->call_idx)/vring_need_event(event, ring->call_idx, ring->used_idx)/'
	mutant ring "need_event off by one" \
		's/vring_need_event(event, /vring_need_event(event + 1, /'
	mutant ring "interrupt for the last entries only" \
		's/vring_need_event(event, ring->used_idx, ring->call_idx)/event == (u16)(ring->used_idx - 1)/'
	mutant ring "NO_INTERRUPT turned round" \
		's/return !(event & VRING_AVAIL_F_NO_INTERRUPT)/return event \& VRING_AVAIL_F_NO_INTERRUPT/'
	mutant ring "EVENT_IDX does not switch the flag off" \
		'/^bool vhost_blk_ring_wants_call/,/^}/s/if (!ring->event_idx)/if (!ring->event_idx || vhost_blk_ring_16(ring, ring->avail->flags) \& 1)/'
	mutant ring "interrupt is never over" \
		's/ring->call_idx = ring->used_idx;//'
	mutant ring "publish says nothing" \
		'/^unsigned int vhost_blk_ring_publish/,/^}/s/return nr;/return 1;/'
	mutant ring "no read barrier after the index" \
		'/smp_rmb();/d'
	mutant ring "no release of the index" \
		's/smp_store_release(&ring->used->idx,/WRITE_ONCE(ring->used->idx,/'
	mutant ring "no barrier before the look at the wish" \
		'/^bool vhost_blk_ring_wants_call/,/^}/{/smp_mb();/d}'
	mutant ring "no barrier before the look for entries" \
		'/^bool vhost_blk_ring_kicks_on/,/^}/{/smp_mb();/d}'
	mutant ring "kicks on for the driver's index" \
		's/vhost_blk_ring_to16(ring, ring->last_avail)/vhost_blk_ring_to16(ring, ring->avail_idx)/'
	mutant ring "kicks on does not look again" \
		'/^bool vhost_blk_ring_kicks_on/,/^}/s/return !vhost_blk_ring_empty(ring)/return ring->avail_idx != ring->last_avail/'
	mutant ring "kicks on only once" \
		'/^void vhost_blk_ring_kicks_off/,/^}/s/ring->kicks_off = true;//'
	mutant ring "kicks off in spite of EVENT_IDX" \
		'/^void vhost_blk_ring_kicks_off/,/^}/s/if (!ring->event_idx)/if (true)/'
	mutant ring "kicks off does nothing" \
		's/VRING_USED_F_NO_NOTIFY/0/'
	mutant ring "empty trusts the old index" \
		'/^bool vhost_blk_ring_empty/,/^}/s/ &&$/;/'
}

define_cmd() {
	mutant cmd.h "a command is written over its chain" \
		's/offsetof(struct vhost_blk_chain, table)/offsetof(struct vhost_blk_chain, seg)/'
	mutant cmd "no range check" \
		's/sector > limits->capacity - sectors/false/'
	mutant cmd "range check overflows" \
		's/sector > limits->capacity - sectors/sector + sectors > limits->capacity/'
	mutant cmd "range check underflows" \
		's/sectors > limits->capacity ||/false ||/'
	mutant cmd "range check off by one" \
		's/sector > limits->capacity - sectors/sector >= limits->capacity - sectors/'
	mutant cmd "range check in bytes" \
		's/sector > limits->capacity - sectors/(sector << 9) > ((limits->capacity - sectors) << 9)/'
	mutant cmd "first sector may be inside a block" \
		's/if (sector & sector_mask)/if (false)/'
	mutant cmd "length in 32 bits" \
		's/u64 sectors = len >> /u64 sectors = (u32)len >> /'
	mutant cmd "checks nothing" \
		's/if (!vhost_blk_limits_allow(/if (false \&\& !vhost_blk_limits_allow(/'
	mutant cmd "blocks counted in bytes" \
		's/limits->block_mask >> VHOST_BLK_SECTOR_SHIFT/limits->block_mask/'
	mutant cmd "length may be a part of a block" \
		's/len & limits->block_mask)/false)/'
	mutant cmd "no data is fine" \
		's/if (!len || /if (/'
	mutant cmd "read-only is ignored" \
		's/ || !limits->read_only/ || true/'
	mutant cmd "read-only refuses reads" \
		's/type != VIRTIO_BLK_T_OUT || !limits->read_only/!limits->read_only/'
	mutant cmd "segment may wrap" \
		's/ || cur->seg->gpa > U64_MAX - (cur->seg->len - 1)//'
	mutant cmd "segment may not end with the address space" \
		's/cur->seg->gpa > U64_MAX - (cur->seg->len - 1)/cur->seg->gpa > U64_MAX - cur->seg->len/'
	mutant cmd "status may wrap" \
		's/if (last->gpa > U64_MAX - (last->len - 1))/if (false)/'
	mutant cmd "status is the first byte" \
		's/view, last->gpa + (last->len - 1), 1,/view, last->gpa, 1,/'
	mutant cmd "status is not looked up" \
		's/^\tif (!vhost_blk_view_translate(view, last/\tif (false \&\& !vhost_blk_view_translate(view, last/'
	mutant cmd "status in the first writable piece" \
		's/chain->nr_out + chain->nr_in - 1/chain->nr_out/'
	mutant cmd "no writable piece needed" \
		's/if (!chain->nr_in)/if (!chain->nr_in \&\& !chain->nr_out)/'
	mutant cmd "header of 17 bytes" \
		's/chain->out_len < sizeof(hdr)/chain->out_len <= sizeof(hdr)/'
	mutant cmd "unreadable header is used" \
		's/if (!n || vhost_blk_view_read(view, gpa, dst, n))/if (!n || (vhost_blk_view_read(view, gpa, dst, n) \&\& false))/'
	mutant cmd "header alone in any descriptor" \
		's/out->nr && out->seg->len == sizeof(\*hdr)/out->nr/'
	mutant cmd "header alone with what follows it" \
		's/out->seg->len == sizeof(\*hdr)/out->seg->len >= sizeof(*hdr)/'
	mutant cmd "header alone is data, too" \
		's/out->seg++->gpa/out->seg->gpa/'
	mutant cmd "unreadable header alone is used" \
		's/return vhost_blk_view_read(view, out->seg++->gpa, hdr,/return 0 \& vhost_blk_view_read(view, out->seg++->gpa, hdr,/'
	mutant cmd "header is little endian" \
		's/__virtio64_to_cpu(little_endian, hdr.sector)/__virtio64_to_cpu(true, hdr.sector)/'
	mutant cmd "status is data" \
		's/cmd->data_len = chain->in_len - 1/cmd->data_len = chain->in_len/'
	mutant cmd "header is data" \
		's/cmd->data_len = chain->out_len - sizeof(hdr)/cmd->data_len = chain->out_len/'
	mutant cmd "GET_ID has no data" \
		'/case VIRTIO_BLK_T_GET_ID:/d'
	mutant cmd "data of the wrong side" \
		's/data = &out;/data = \&in;/'
	mutant cmd "too many bytes" \
		's/cmd->data_len > VHOST_BLK_MAX_BYTES ||/false ||/'
	mutant cmd "most bytes are refused" \
		's/cmd->data_len > VHOST_BLK_MAX_BYTES ||/cmd->data_len >= VHOST_BLK_MAX_BYTES ||/'
	mutant cmd "too many spans" \
		's/cmd->nr_spans == VHOST_BLK_MAX_SPANS/cmd->nr_spans == VHOST_BLK_MAX_SPANS + 1/'
	mutant cmd "most spans are refused" \
		's/cmd->nr_spans == VHOST_BLK_MAX_SPANS/cmd->nr_spans == VHOST_BLK_MAX_SPANS - 1/'
	mutant cmd "spans that touch stay apart" \
		's/cmd->nr_spans && span\[-1\].hva + span\[-1\].len == hva/false/'
	mutant cmd "spans in the wrong order become one" \
		's/span\[-1\].hva + span\[-1\].len == hva/span[-1].hva - len == hva/'
	mutant cmd "data in no region" \
		's/if (!n || vhost_blk_cmd_add_span/if ((!n \&\& !(n = piece)) || vhost_blk_cmd_add_span/'
	mutant cmd "only the first region of a piece" \
		's/for (; piece; piece -= n, gpa += n)/for (; piece; piece = 0, gpa += n)/'
	mutant cmd "second region at the address of the first" \
		's/piece -= n, gpa += n/piece -= n/'
	mutant cmd "copies for the start only" \
		's/bits |= span->hva | span->len/bits |= span->hva/'
	mutant cmd "copies for the length only" \
		's/bits |= span->hva | span->len/bits |= span->len/'
	mutant cmd "copies for the last span only" \
		's/bits |= span->hva/bits = span->hva/'
	mutant cmd "copies without a look at the blocks" \
		's/limits->block_mask | limits->dma_mask/limits->dma_mask/'
	mutant cmd "copies without a look at the device" \
		's/limits->block_mask | limits->dma_mask/limits->block_mask/'
	mutant cmd "copies always" \
		's/cmd->bounce = bits & mask/cmd->bounce = true/'
	mutant cmd "page too many" \
		's/(span->hva + span->len - 1) >> PAGE_SHIFT/(span->hva + span->len) >> PAGE_SHIFT/'
	mutant cmd "pages by length" \
		's/cmd->nr_pages += last - first + 1/cmd->nr_pages += DIV_ROUND_UP(span->len, PAGE_SIZE)/'
	mutant cmd "pages of the copy rounded down" \
		's/DIV_ROUND_UP(cmd->data_len, PAGE_SIZE)/cmd->data_len \/ PAGE_SIZE/'
}

define_mem() {
	mutant mem "one byte behind a region" \
		's/gpa - r->gpa >= r->len/gpa - r->gpa > r->len/'
	mutant mem "first byte of a region is not in it" \
		's/if (gpa < r->gpa)/if (gpa <= r->gpa)/'
	mutant mem "search misses the last region" \
		's/hi = mem->nr;/hi = mem->nr - 1;/'
	mutant mem "overlapping regions" \
		's/mem->region\[i\].gpa - prev->gpa < prev->len/false/'
	mutant mem "regions may overlap by one byte" \
		's/mem->region\[i\].gpa - prev->gpa < prev->len/mem->region[i].gpa - prev->gpa < prev->len - 1/'
	mutant mem "neighbours are refused" \
		's/mem->region\[i\].gpa - prev->gpa < prev->len/mem->region[i].gpa - prev->gpa <= prev->len/'
	mutant mem "regions are not sorted" \
		'/^\tsort(mem->region/d'
	mutant mem "region may wrap in the guest" \
		's/check_add_overflow(r->gpa, r->len - 1, &last) ||/false ||/'
	mutant mem "region may not end with the address space" \
		's/check_add_overflow(r->gpa, r->len - 1, &last)/check_add_overflow(r->gpa, r->len, \&last)/'
	mutant mem "region outside user space" \
		's/!access_ok(u64_to_user_ptr(r->hva), r->len)/false/'
	mutant mem "region at an address with a tag" \
		's/r->hva != untagged_addr((unsigned long)r->hva)/r->hva != (unsigned long)r->hva/'
	mutant mem "empty region" \
		'/^static int vhost_blk_mem_check_region/,/^}/s/if (!r->len)/if (false)/'
	mutant mem "ring may leave its region" \
		's/len <= r->len - (hva - r->hva)/len <= r->len/'
	mutant mem "ring may not end with its region" \
		's/len <= r->len - (hva - r->hva)/len < r->len - (hva - r->hva)/'
	mutant mem "range before a region is in it" \
		's/end > r->hva)/end >= r->hva)/'
	mutant mem "range behind a region is in it" \
		's/start < r->hva + r->len &&/start <= r->hva + r->len \&\&/'
	mutant mem "range has to start before a region" \
		's/start < r->hva + r->len &&/start < r->hva \&\&/'
	mutant mem "range is the guest's" \
		's/start < r->hva + r->len && end > r->hva/start < r->gpa + r->len \&\& end > r->gpa/'
	mutant mem "range in the first region only" \
		'/^bool vhost_blk_mem_overlaps_hva/,/^}/s/i < mem->nr/i < mem->nr \&\& i < 1/'
}

define_view() {
	mutant view.h "any hint is good" \
		's/r && gpa - r->gpa < r->len/r/'
	mutant view.h "hint for a byte behind its region" \
		's/gpa - r->gpa < r->len/gpa - r->gpa <= r->len/'
	mutant view.h "hint for what is before its region" \
		's/gpa - r->gpa < r->len/gpa < r->gpa + r->len/'
	mutant view.h "hint leads out of its region" \
		's/return min(len, r->len - (gpa - r->gpa))/return len/'
	mutant view.h "hint leads to its region's start" \
		's/\*hva = r->hva + (gpa - r->gpa)/*hva = r->hva/'
	mutant view "piece longer than its region" \
		's/return min(len, r->len - (gpa - r->gpa))/return len/'
	mutant view "address of the region's start" \
		's/\*hva = r->hva + (gpa - r->gpa)/*hva = r->hva/'
	mutant view "nothing is remembered" \
		'/view->last = r;/d'
	mutant view "misses are remembered" \
		's/^\tif (!r)$/\tview->last = r;\n&/'
	mutant view "copy wraps around the address space" \
		's/if (len && check_add_overflow(gpa, n, &gpa))/if (len \&\& check_add_overflow(gpa, n, \&gpa) \&\& false)/'
	mutant view "copy stays where it is" \
		's/check_add_overflow(gpa, n, &gpa)/check_add_overflow(gpa, (u64)0, \&gpa)/'
	mutant view "copies over what it has" \
		'/dst += n;/d'
	mutant view "copy ignores a fault" \
		's/copy_from_user(dst, u64_to_user_ptr(hva), n)/(copy_from_user(dst, u64_to_user_ptr(hva), n) \&\& false)/'
	mutant view "copies twice" \
		's/if (!vhost_blk_view_read_cached(view, hva, dst, n) &&/if ((vhost_blk_view_read_cached(view, hva, dst, n) || true) \&\&/'
	mutant view "two pages from one" \
		's/ || offset_in_page(hva) + len > PAGE_SIZE//'
	mutant view "page without its last byte" \
		's/offset_in_page(hva) + len > PAGE_SIZE/offset_in_page(hva) + len >= PAGE_SIZE/'
	mutant view "page from its start" \
		's/entry->addr + offset_in_page(hva)/entry->addr/'
	mutant view "reads want to write" \
		's/vhost_blk_tlb_find(view->tlb, hva, false)/vhost_blk_tlb_find(view->tlb, hva, true)/'
	mutant view "cache is a must" \
		's/!view->tlb || //'
	mutant view "cache always has room" \
		's/if (!entry)/if (false)/'
	mutant view "no barrier behind the copy" \
		'/barrier();/d'
}

define_tlb() {
	mutant tlb "smaller than the least" \
		's/clamp(nr, VHOST_BLK_TLB_MIN, VHOST_BLK_TLB_MAX)/min(nr, VHOST_BLK_TLB_MAX)/'
	mutant tlb "larger than the most" \
		's/clamp(nr, VHOST_BLK_TLB_MIN, VHOST_BLK_TLB_MAX)/max(nr, VHOST_BLK_TLB_MIN)/'
	mutant tlb "size is rounded down" \
		's/order_base_2(nr)/ilog2(nr)/'
	mutant tlb "created without memory" \
		's/if (!tlb->entry)/if (false)/'
	mutant tlb "stale from the start" \
		's/tlb->seen = atomic64_read(changes)/tlb->seen = 0/'
	mutant tlb "created while a change is under way, for good" \
		's/atomic64_read(changes) & ~VHOST_BLK_INVAL_ACTIVE/atomic64_read(changes)/'
	mutant tlb "destroyed with its pages" \
		'/^void vhost_blk_tlb_destroy/,/^}/{/vhost_blk_tlb_flush(tlb);/d}'
	mutant tlb "there after its end" \
		'/tlb->entry = NULL;/d'
	mutant tlb "all pages are dirty" \
		's/&page, 1, entry->dirty/\&page, 1, true/'
	mutant tlb "no page is dirty" \
		's/&page, 1, entry->dirty/\&page, 1, false/'
	mutant tlb "pages for writing are dirty" \
		's/&page, 1, entry->dirty/\&page, 1, entry->write/'
	mutant tlb "pages stay pinned" \
		'/unpin_user_pages_dirty_lock(/d'
	mutant tlb "dropped page is found" \
		'/memset(entry, 0, sizeof(\*entry));/d'
	mutant tlb "dropped page leaves its state" \
		's/memset(entry, 0, sizeof(\*entry));/entry->key = 0;/'
	mutant tlb "dropped page counts" \
		'/WRITE_ONCE(tlb->nr, tlb->nr - 1);/d'
	mutant tlb "pinned page does not count" \
		'/WRITE_ONCE(tlb->nr, tlb->nr + 1);/d'
	mutant tlb "change is never over" \
		'/^void vhost_blk_tlb_flush/,/^}/{/tlb->seen = /d}'
	mutant tlb "flush takes a change under way for one that is over" \
		's/atomic64_read(tlb->changes) & ~VHOST_BLK_INVAL_ACTIVE/atomic64_read(tlb->changes)/'
	mutant tlb "flush drops what is in use" \
		'/^void vhost_blk_tlb_flush/,/^}/s/if (entry->users)/if (false)/'
	mutant tlb "flush leaves what is in use as it is" \
		's/entry->stale = true;/;/'
	mutant tlb "flush drops nothing" \
		's/else if (entry->key)/else if (false)/'
	mutant tlb "flush drops empty entries" \
		's/else if (entry->key)/else/'
	mutant tlb "flush forgets the last entry" \
		's/i < BIT(tlb->bits); i++/i < BIT(tlb->bits) - 1; i++/'
	mutant tlb "flush ends with the number of pages" \
		's/tlb->nr && i < BIT(tlb->bits)/i < tlb->nr/'
	mutant tlb "no read barrier after the count" \
		'/smp_rmb();/d'
	mutant tlb "pin forgets what was there" \
		'/^static bool vhost_blk_tlb_pin/,/^}/s/if (entry->key)/if (false)/'
	mutant tlb "pins for reading only" \
		's/write ? FOLL_WRITE : 0/0/'
	mutant tlb "pins for writing only" \
		's/write ? FOLL_WRITE : 0/FOLL_WRITE/'
	mutant tlb "pin that failed is used" \
		's/&page) != 1)/\&page) == 1 \&\& false)/'
	mutant tlb "pins at an address inside the page" \
		's/hva & PAGE_MASK/hva/'
	mutant tlb "does not know what may be written" \
		'/entry->write = write;/d'
	mutant tlb "everything may be written" \
		's/entry->write = write;/entry->write = true;/'
	mutant tlb "miss does not see a change" \
		'/^struct vhost_blk_tlb_entry \*vhost_blk_tlb_miss/,/^}/s/if (vhost_blk_tlb_is_stale(tlb))/if (false)/'
	mutant tlb "miss does not see a change under way" \
		's/if (atomic64_read(tlb->changes) != tlb->seen)/if (false)/'
	mutant tlb "miss drops everything" \
		'/^struct vhost_blk_tlb_entry \*vhost_blk_tlb_miss/,/^}/s/if (vhost_blk_tlb_is_stale(tlb))/if (true)/'
	mutant tlb "one place" \
		's/i < 2; i++/i < 1; i++/'
	mutant tlb "second place is the next one" \
		's/first ^ i/(first + i) \& (BIT(tlb->bits) - 1)/'
	mutant tlb "miss finds a stale page" \
		's/entry->key == key && !entry->stale &&/entry->key == key \&\&/'
	mutant tlb "miss finds any pin" \
		's/^\(\s*\)(entry->write || !write))$/\1true)/'
	mutant tlb "page in use is pushed out" \
		'/^struct vhost_blk_tlb_entry \*vhost_blk_tlb_miss/,/^}/s/if (entry->users)/if (false)/'
	mutant tlb "the first place, be there an empty one" \
		's/(place->key && place->key != key && !entry->key)/false/'
	mutant tlb "the second place, be the first one empty" \
		's/if (!place || entry->key == key ||/if (true ||/'
	mutant tlb "another place for a page that was read" \
		's/place->key && place->key != key && !entry->key/place->key \&\& !entry->key/'
	mutant tlb "page that was read in the second place stays" \
		's/if (!place || entry->key == key ||/if (!place ||/'
	mutant tlb "there is always a place" \
		's/if (!place || !vhost_blk_tlb_pin(/if (!vhost_blk_tlb_pin(/'
	mutant tlb.h "find does not see a change" \
		's/!entry->stale && atomic64_read(tlb->changes) == tlb->seen/!entry->stale/'
	mutant tlb.h "find does not see a change under way" \
		's/atomic64_read(tlb->changes) == tlb->seen/!vhost_blk_tlb_is_stale(tlb)/'
	mutant tlb.h "find finds a stale page" \
		's/!entry->stale && atomic64_read(/atomic64_read(/'
	mutant tlb.h "find finds any pin" \
		's/entry->key == key && (entry->write || !write) &&/entry->key == key \&\&/'
	mutant tlb.h "find finds another page" \
		's/entry->key == key && (entry->write/entry->key \&\& (entry->write/'
	mutant tlb.h "changes are counted up to the largest number" \
		's/~VHOST_BLK_INVAL_ACTIVE) !=/~VHOST_BLK_INVAL_ACTIVE) >/'
	mutant tlb.h "stale while a change is under way" \
		's/(atomic64_read(tlb->changes) & ~VHOST_BLK_INVAL_ACTIVE) !=/atomic64_read(tlb->changes) !=/'
	mutant tlb.h "first page has the key of none" \
		's/(hva >> PAGE_SHIFT) + 1/hva >> PAGE_SHIFT/'
	mutant tlb.h "keys of 32 bits" \
		's/return (hva >> PAGE_SHIFT) + 1/return (u32)(hva >> PAGE_SHIFT) + 1/'
	mutant tlb.h "place outside the cache" \
		's/ & (BIT(tlb->bits) - 1)//'
	mutant tlb.h "pages far from each other share a place" \
		's/(key ^ key >> tlb->bits)/key/'
	mutant tlb.h "neighbours share a place" \
		's/(key ^ key >> tlb->bits)/(key >> tlb->bits)/'
	mutant tlb.h "last use decides what is dirty" \
		's/entry->dirty |= dirty/entry->dirty = dirty/'
	mutant tlb.h "put drops what is good" \
		's/if (!--entry->users && unlikely(entry->stale))/if (!--entry->users)/'
	mutant tlb.h "put drops nothing" \
		's/if (!--entry->users && unlikely(entry->stale))/if (!--entry->users \&\& false)/'
	mutant tlb.h "put drops what others use" \
		's/if (!--entry->users && unlikely(entry->stale))/if (--entry->users, entry->stale)/'
}

define_poll() {
	mutant poll "longest window is not the limit" \
		's/return min(window_ns, params->max_ns);/return window_ns;/'
	mutant poll "end of the longest window is too late" \
		's/idle_ns > params->max_ns/idle_ns >= params->max_ns/'
	mutant poll "end of the window is not inside it" \
		's/else if (idle_ns > window_ns)/else if (idle_ns >= window_ns)/'
	mutant poll "never too late" \
		's/if (idle_ns > params->max_ns)/if (false)/'
	mutant poll "never too early" \
		's/else if (idle_ns > window_ns)/else/'
	mutant poll "never grows" \
		's/else if (idle_ns > window_ns)/else if (false)/'
	mutant poll "grows after what no window catches" \
		's/window_ns = params->shrink ? .*;/window_ns = vhost_blk_poll_grow(window_ns, params);/'
	mutant poll "idle time is cut to 32 bits" \
		's/if (idle_ns > params->max_ns)/if ((u32)idle_ns > params->max_ns)/'
	mutant poll "shrink 0 is no special case" \
		's/params->shrink ? window_ns \/ params->shrink : 0/window_ns \/ (params->shrink ?: 1)/'
	mutant poll "shrinks by one" \
		's/window_ns \/ params->shrink/window_ns - params->shrink/'
	mutant poll "shrinks to 0 at once" \
		's/params->shrink ? window_ns \/ params->shrink : 0/0/'
	mutant poll "grow 0 starts a window" \
		's/if (!params->grow)/if (!params->grow \&\& window_ns)/'
	mutant poll "grow 0 ends a window" \
		'/if (!params->grow)/{n;s/return window_ns/return 0/}'
	mutant poll "growth in 32 bits" \
		's/(u64)window_ns \* params->grow/(u32)(window_ns * params->grow)/'
	mutant poll "growth is a sum" \
		's/(u64)window_ns \* params->grow/(u64)window_ns + params->grow/'
	mutant poll "start is ignored" \
		's/max_t(u64, grown, params->grow_start_ns)/grown/'
	mutant poll "start is a limit" \
		's/max_t(u64, grown, params->grow_start_ns)/min_t(u64, grown, params->grow_start_ns)/'
	mutant poll "start is only for a window of 0" \
		's/max_t(u64, grown, params->grow_start_ns)/window_ns ? grown : params->grow_start_ns/'
	mutant poll "start and the longest in 32 bits" \
		's/min_t(u64, max_t(u64, /min_t(u32, max_t(u32, /'
}

define_stats() {
	mutant stats "time goes to nobody" \
		's/\*counter += spent;//'
	mutant stats "a state begins when it was looked at" \
		's/stats->since += spent;/stats->since = now;/'
	mutant stats "state stays" \
		's/stats->state = next;//'
	mutant stats "worker ends without a trace" \
		's/stats->times.lifetime_ns += .*;//'
	mutant stats "lives count twice" \
		's/stats->born = stats->since;//;s/stats->born = now;//'
	mutant stats "hit and miss the wrong way round" \
		's/if (success) {/if (!success) {/'
	mutant stats "attempts are not counted" \
		's/vhost_blk_stat_inc(stats, halt_attempted_poll);//'
	mutant stats "sleeps are not counted" \
		's/vhost_blk_stat_inc(stats, halt_successful_wait);//'
	mutant stats "sleep goes to the wrong histogram" \
		's/vhost_blk_hist_add(&stats->halt_wait_hist, spent)/vhost_blk_hist_add(\&stats->halt_poll_fail_hist, spent)/'
	mutant stats "what is under way is left out" \
		's/times->busy_ns += vhost_blk_since(now, since);/;/'
	mutant stats "sleep under way is left out" \
		's/times->halt_wait_ns += vhost_blk_since(now, since);/;/'
	mutant stats "polling under way is a sleep" \
		's/else if (state == VHOST_BLK_STATE_WAIT)/else/'
	mutant stats "time passes without a worker" \
		's/if (state == VHOST_BLK_STATE_NONE)/if (false)/'
	mutant stats "reader takes what it gets" \
		's/while (read_seqcount_retry(&stats->seq, seq))/while (false)/'
	mutant stats "writer does not count" \
		's/write_seqcount_begin(&stats->seq);//;s/write_seqcount_end(&stats->seq);//'
	mutant stats "writer can be put aside" \
		's/preempt_disable();//;s/preempt_enable();//'
}

define_ring
define_cmd
define_mem
define_view
define_tlb
define_poll
define_stats

list=""
if [[ ${1:-} == -l ]]; then
	list=1
	shift
fi
pattern=${1:-*}

chosen=()
for i in "${!names[@]}"; do
	# shellcheck disable=SC2053 # it is a pattern
	[[ ${names[i]} == $pattern ]] && chosen+=("$i")
done
if [[ -n $list ]]; then
	for i in "${chosen[@]}"; do
		echo "${names[i]}"
	done
	exit
fi

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
cp -r ../../drivers/vhost/blk "$tmp/blk"
find "$tmp/blk" ! -name '*.[ch]' -type f -delete
cp -r "$tmp/blk" "$tmp/original"

export UNIT_SECONDS=1 KSFT_TIME_SCALE=1
export ASAN_OPTIONS=detect_leaks=0

build() {
	make -s BLK="$tmp/blk" OUTPUT="$tmp/out" CFLAGS="-O1 -w" "$@" \
		>"$tmp/log" 2>&1
}

# own_tests NAME: the test programs of a file of the module.
own_tests() {
	find . -name "$1_test.c" -o -name "$1_*_test.c" ! -name ring_fuzz_test.c |
		sort -r | sed 's/^\.\///; s/\.c$//'
}

# tests_fail PROGRAM...: prints what failed; 1 if nothing did.
tests_fail() {
	local prog failed status

	for prog in "$@"; do
		if ! build "$tmp/out/$prog"; then
			echo "does not compile"
			return 2
		fi
		# Ends at the first test that fails.
		status=0
		failed=$(set +o pipefail
			timeout 100 "$tmp/out/$prog" 2>&1 |
				tee "$tmp/log" | grep -m1 '^not ok'
			exit "$((PIPESTATUS[0] != 0))") || status=$?
		((status)) || continue
		failed=$(cut -d' ' -f4- <<<"$failed")
		echo "$prog: ${failed:-died}"
		return 0
	done
	return 1
}

# mutate INDEX: 1 if the file has no such place any more
mutate() {
	local file=${files[$1]}

	sed "${edits[$1]}" "$tmp/original/$file" >"$tmp/blk/$file"
	! cmp -s "$tmp/original/$file" "$tmp/blk/$file"
}

echo "KTAP version 1"
echo "1..$((${#chosen[@]} + 1))"
failures=0
n=1

# Tests of all files, which find what those of one file may leave.
all=(random_test ring_fuzz_test race_test)

# Nothing is proved by tests that fail anyway.
mapfile -t progs < <(printf '%s\n' "${files[@]%.*}" | sort -u |
	while read -r name; do own_tests "$name"; done)
why=$(tests_fail "${progs[@]}" random_test race_test) || true
if [[ -n $why ]]; then
	echo "# $why"
	echo "not ok 1 unchanged files pass"
	sed 's/^/# /' "$tmp/log" | tail -n 20
	exit 1
fi
echo "ok 1 unchanged files pass"

for i in "${chosen[@]}"; do
	n=$((n + 1))
	status=0
	if mutate "$i"; then
		mapfile -t progs < <(own_tests "${files[i]%.*}")
		why=$(tests_fail "${progs[@]}" "${all[@]}") || status=$?
	else
		why="no such place in ${files[i]}"
		status=3
	fi
	if ((status)); then
		echo "# ${why:-no test noticed}"
		echo "not ok $n ${names[i]}"
		failures=$((failures + 1))
	else
		echo "ok $n ${names[i]} # $why"
	fi
	cp "$tmp/original/${files[i]}" "$tmp/blk/${files[i]}"
done

echo "# Totals: pass:$((n - failures)) fail:$failures skip:0"
((failures == 0))
