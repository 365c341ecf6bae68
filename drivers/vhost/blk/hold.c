// SPDX-License-Identifier: GPL-2.0-only
/*
 * For a guest an interrupt is the dearest step of a request. A driver that
 * keeps one request under way wants each at once: it has nothing else to do.
 * One that submits many is better served with one interrupt for all that it
 * submits in a go, sent when the last of them is done.
 *
 * From outside the two look alike as long as each completion is followed by an
 * interrupt at once. So now and then one is held back on purpose. If the driver
 * goes on submitting meanwhile, it was not waiting: what it submitted becomes
 * the target, and from then on an interrupt is sent as soon as that many
 * completions are there. If they do not come, the driver is waiting for what is
 * held; the interrupt goes out and the target shrinks. How long "do not come"
 * is, is measured too: a few times the usual distance between two arrivals.
 *
 * Completions that merely come one after the other, from a disk slower than the
 * driver, are no reason to wait: only arrivals raise the target.
 */
#include "hold.h"

/* Interrupts between two tries to raise the target, when they succeed or fail.
 */
#define VHOST_BLK_HOLD_INTERVAL_MIN 8
#define VHOST_BLK_HOLD_INTERVAL_MAX 1024

/* Never more completions than this for one interrupt. */
#define VHOST_BLK_HOLD_TARGET_MAX 128U

/* An arrival is late when it takes this many times the usual gap. */
#define VHOST_BLK_HOLD_PATIENCE 4

/* The same when it is tried to raise the target. */
#define VHOST_BLK_HOLD_PROBE 16

/* When the driver was late a target keeps this many quarters, at least. */
#define VHOST_BLK_HOLD_KEEP 3

/* Less than this, in ns, is not worth a sleep: to wake up takes as long. */
#define VHOST_BLK_HOLD_NAP_MIN 50000U

/* No nap is longer than this part of the longest gap. */
#define VHOST_BLK_HOLD_NAP_PART 4

/*
 * A driver that gets at least so many completions with one interrupt is busy
 * with them for a while. For this part of that time nobody looks for requests.
 */
#define VHOST_BLK_HOLD_BATCH 4
#define VHOST_BLK_HOLD_REPLY_PART 2

/* No completion waits longer than this many times the longest gap. */
#define VHOST_BLK_HOLD_TOTAL 4

/**
 * vhost_blk_hold_init() - start without holding anything
 * @hold: the state
 * @max_ns: longest wait for the next arrival, 0 to never hold
 */
void vhost_blk_hold_init(struct vhost_blk_hold *hold, u32 max_ns)
{
	hold->max_ns = max_ns;
	hold->since = 0;
	hold->last = 0;
	hold->sent = 0;
	hold->looked = 0;
	hold->woke = 0;
	hold->gap_ns = max_ns;
	hold->reply_ns = 0;
	hold->held = 0;
	hold->arrived = 0;
	hold->target = 1;
	hold->interval = VHOST_BLK_HOLD_INTERVAL_MIN;
	hold->countdown = hold->interval;
	hold->probing = false;
	hold->napped = false;
}

/*
 * How far chains are apart. Those found after a nap may have come one by one,
 * but not before the last look.
 */
static void vhost_blk_hold_learn_gap(struct vhost_blk_hold *hold,
				     unsigned int nr, u64 now)
{
	u64 since = max(hold->last, hold->since);
	u64 gap = now > since ? now - since : 0;

	if (hold->napped) {
		u64 least = hold->looked > since ? hold->looked - since : 0;

		gap = max(div_u64(gap, nr), least);
	}
	gap = min_t(u64, gap, hold->max_ns);
	hold->gap_ns = (hold->gap_ns * 7ULL + gap) / 8;
}

/*
 * How long the driver was busy with the last interrupt. One that was idle tells
 * nothing, and one that had been waiting when the nap was over took no longer
 * than the nap was meant to be.
 */
static void vhost_blk_hold_learn_reply(struct vhost_blk_hold *hold, u64 now)
{
	u64 reply = now > hold->sent ? now - hold->sent : 0;

	if (!hold->sent || reply >= hold->max_ns)
		return;
	if (hold->napped && now < hold->woke + VHOST_BLK_HOLD_NAP_MIN)
		reply = hold->reply_ns / VHOST_BLK_HOLD_REPLY_PART;
	hold->reply_ns = (hold->reply_ns * 7ULL + reply) / 8;
}

/**
 * vhost_blk_hold_arrived() - the driver has made chains available
 * @hold: the state
 * @nr: how many, not 0
 * @now: time in ns
 */
void vhost_blk_hold_arrived(struct vhost_blk_hold *hold, unsigned int nr,
			    u64 now)
{
	/* A gap tells something only while the driver is not waiting for us. */
	if (hold->held) {
		vhost_blk_hold_learn_gap(hold, nr, now);
		hold->arrived += nr;
	} else {
		vhost_blk_hold_learn_reply(hold, now);
	}
	hold->sent = 0;
	hold->last = now;
	hold->napped = false;
}

/**
 * vhost_blk_hold_add() - completions have been published
 * @hold: the state
 * @nr: how many
 * @now: time in ns
 */
void vhost_blk_hold_add(struct vhost_blk_hold *hold, unsigned int nr, u64 now)
{
	if (!hold->held)
		hold->since = now;
	hold->held += nr;
}

/* When the next arrival is late, or the oldest completion has waited enough. */
static u64 vhost_blk_hold_due(const struct vhost_blk_hold *hold)
{
	u64 patience = hold->gap_ns;

	patience *= hold->probing ? VHOST_BLK_HOLD_PROBE :
				    VHOST_BLK_HOLD_PATIENCE;
	patience = min_t(u64, patience, hold->max_ns);
	return min(max(hold->last, hold->since) + patience,
		   hold->since + (u64)hold->max_ns * VHOST_BLK_HOLD_TOTAL);
}

/**
 * vhost_blk_hold_over() - is it time for the interrupt?
 * @hold: the state, with something held
 * @now: time in ns
 *
 * Return: true when the target is reached, the next arrival is late, or the
 * oldest completion has waited long enough.
 */
bool vhost_blk_hold_over(const struct vhost_blk_hold *hold, u64 now)
{
	if (!hold->max_ns || hold->held >= VHOST_BLK_HOLD_TARGET_MAX)
		return true;
	if (!hold->probing && hold->held >= hold->target)
		return true;
	return now > vhost_blk_hold_due(hold);
}

/* Until about the next arrival, but not longer than the interrupt may wait. */
static u64 vhost_blk_hold_nap_held(const struct vhost_blk_hold *hold, u64 now)
{
	u64 due = vhost_blk_hold_due(hold);

	return min_t(u64, hold->gap_ns, due > now ? due - now : 0);
}

/* Once after an interrupt for many. */
static u64 vhost_blk_hold_nap_sent(const struct vhost_blk_hold *hold, u64 now)
{
	u64 until = hold->sent + hold->reply_ns / VHOST_BLK_HOLD_REPLY_PART;

	if (!hold->sent || hold->napped || hold->target < VHOST_BLK_HOLD_BATCH)
		return 0;
	return until > now ? until - now : 0;
}

/**
 * vhost_blk_hold_nap() - for how long is there nothing to look for?
 * @hold: the state; if something is held, it is not over
 * @now: time in ns
 *
 * A driver whose requests are far apart does not wait for those that are held:
 * it makes the next ones. They may be found a little later.
 *
 * Return: time to sleep in ns, to be followed by vhost_blk_hold_woke(); 0 when
 * that is too short.
 */
u32 vhost_blk_hold_nap(struct vhost_blk_hold *hold, u64 now)
{
	u64 ns = hold->held ? vhost_blk_hold_nap_held(hold, now) :
			      vhost_blk_hold_nap_sent(hold, now);

	ns = min_t(u64, ns, hold->max_ns / VHOST_BLK_HOLD_NAP_PART);
	if (ns < VHOST_BLK_HOLD_NAP_MIN)
		return 0;
	hold->napped = true;
	hold->looked = now;
	return ns;
}

/**
 * vhost_blk_hold_woke() - the nap is over
 * @hold: the state
 * @now: time in ns
 */
void vhost_blk_hold_woke(struct vhost_blk_hold *hold, u64 now)
{
	hold->woke = now;
}

/**
 * vhost_blk_hold_sends_at_once() - would a completion be told of by itself?
 * @hold: the state, with nothing held
 *
 * Return: true when the interrupt for a single completion does not wait.
 */
bool vhost_blk_hold_sends_at_once(const struct vhost_blk_hold *hold)
{
	return !hold->max_ns || (hold->target <= 1 && !hold->probing);
}

/*
 * Up at once, down in steps: a driver that was late once may only have been
 * held up.
 */
static void vhost_blk_hold_set_target(struct vhost_blk_hold *hold,
				      unsigned int worth)
{
	unsigned int least = hold->target * VHOST_BLK_HOLD_KEEP / 4;

	hold->target = min(max(worth, least), VHOST_BLK_HOLD_TARGET_MAX);
}

/**
 * vhost_blk_hold_release() - the interrupt goes out: learn from it
 * @hold: the state, with something held
 * @now: time in ns
 */
void vhost_blk_hold_release(struct vhost_blk_hold *hold, u64 now)
{
	unsigned int worth = min(hold->held, hold->arrived + 1);

	if (hold->probing) {
		hold->interval = worth > hold->target ?
					 VHOST_BLK_HOLD_INTERVAL_MIN :
					 min(hold->interval * 2,
					     VHOST_BLK_HOLD_INTERVAL_MAX);
		hold->countdown = hold->interval;
		hold->probing = false;
		vhost_blk_hold_set_target(hold, worth);
	} else if (hold->held < hold->target) {
		vhost_blk_hold_set_target(hold, worth);
		hold->interval = VHOST_BLK_HOLD_INTERVAL_MIN;
		hold->countdown = hold->interval;
		hold->probing = true;
	} else if (!--hold->countdown) {
		hold->probing = true;
	}
	hold->sent = hold->held >= VHOST_BLK_HOLD_BATCH ? now : 0;
	hold->held = 0;
	hold->arrived = 0;
	hold->napped = false;
}
