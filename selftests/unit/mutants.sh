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

# mutant FILE DESCRIPTION SED-SCRIPT
mutant() {
	names+=("$1: $2")
	files+=("$1.c")
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
		's/if (vhost_blk_mem_read(ring->mem, gpa, chain->table, len))/if (vhost_blk_mem_read(ring->mem, gpa, chain->table, len) \&\& false)/'
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
		's/mem, last->gpa + (last->len - 1), 1,/mem, last->gpa, 1,/'
	mutant cmd "status is not looked up" \
		's/^\tif (!vhost_blk_mem_translate(mem, last/\tif (false \&\& !vhost_blk_mem_translate(mem, last/'
	mutant cmd "status in the first writable piece" \
		's/chain->nr_out + chain->nr_in - 1/chain->nr_out/'
	mutant cmd "no writable piece needed" \
		's/if (!chain->nr_in)/if (!chain->nr_in \&\& !chain->nr_out)/'
	mutant cmd "header of 17 bytes" \
		's/chain->out_len < sizeof(hdr)/chain->out_len <= sizeof(hdr)/'
	mutant cmd "unreadable header is used" \
		's/if (!n || vhost_blk_mem_read(mem, gpa, dst, n))/if (!n || (vhost_blk_mem_read(mem, gpa, dst, n) \&\& false))/'
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
	mutant mem "piece longer than its region" \
		's/return min(len, r->len - (gpa - r->gpa))/return len/'
	mutant mem "one byte behind a region" \
		's/gpa - r->gpa >= r->len/gpa - r->gpa > r->len/'
	mutant mem "first byte of a region is not in it" \
		's/if (gpa < r->gpa) {/if (gpa <= r->gpa) {/'
	mutant mem "search misses the last region" \
		's/hi = mem->nr;/hi = mem->nr - 1;/'
	mutant mem "address of the region's start" \
		's/\*hva = r->hva + (gpa - r->gpa)/*hva = r->hva/'
	mutant mem "copy wraps around the address space" \
		's/if (len && check_add_overflow(gpa, n, &gpa))/if (len \&\& check_add_overflow(gpa, n, \&gpa) \&\& false)/'
	mutant mem "copy ignores a fault" \
		's/copy_from_user(dst, u64_to_user_ptr(hva), n)/(copy_from_user(dst, u64_to_user_ptr(hva), n) \&\& false)/'
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
	mutant mem "empty region" \
		'/^static int vhost_blk_mem_check_region/,/^}/s/if (!r->len)/if (false)/'
	mutant mem "ring may leave its region" \
		's/len <= r->len - (hva - r->hva)/len <= r->len/'
	mutant mem "ring may not end with its region" \
		's/len <= r->len - (hva - r->hva)/len < r->len - (hva - r->hva)/'
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

# Runs the tests, those of the file first. Prints what failed; 1 if nothing did.
tests_fail() {
	local prog first=$1_test failed status

	for prog in "$first" "${1}_notify_test" "${1}_chain_test" \
		"${1}_check_test" random_test ring_fuzz_test \
		race_test; do
		[[ -f $prog.c ]] || continue
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

# Nothing is proved by tests that fail anyway.
why=""
for file in ring cmd mem poll stats; do
	[[ -n $why ]] || why=$(tests_fail "$file") || true
done
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
		why=$(tests_fail "${files[i]%.c}") || status=$?
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
