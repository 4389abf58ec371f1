import { root } from './root.ts';
import { THINGS } from './things.ts';

/**
 * What people say they want done, and the words that tools use for it; things.ts has what they want it done to. Only a
 * request is read with it: a tool is found by its own words. Before the colon are ways to say it, after it what tools
 * call it, each no more than a guess.
 */
const ACTS = `
make, set up, start, begin, build, generate, produce, new, introduce, prepare, establish, compose, draft: create
add, put, include, insert, enter, record, register, append, attach: add create insert append
write: create write add update comment
report, raise, file, log: create issue
store, save, keep, preserve, persist: create insert save write add
upload, import, ingest, load into: insert upload
save as, download, dump, back up, backup, export: export save download
show, display, view, see, look at, look, read, print, fetch, pull up, bring up, let me see, give me, retrieve, inspect: get read retrieve
open: get read open navigate
what, which: list get
tell me, describe, explain, details, info, information, everything about: get details information
all, everything, every, whole, entire, overview, enumerate, any: list all
list: list get
find, look for, look up, search, locate, seek, hunt, discover, dig up, hunt down, track down, where: search find query
who: user member author
check, verify, validate, test, make sure, correct, okay: validate verify check status get
change, edit, modify, alter, adjust, set, correct, fix, amend, tweak, revise, rewrite, rework, switch, turn: update edit
replace, swap, substitute: edit update replace
mark, flag: update create mark
close, finish, finished, complete, completed, done, resolve, settle, tick, tick off, check off: update close resolve done mark
reopen, reassign, assign, hand over, give to: update assignee
turn on, turn off, enable, disable, activate, switch on, switch off: update set
rename, call it, new name, different name, instead of: rename update move
move, shift, relocate, transfer, drag: move
under, belongs: parent move
delete, remove, erase, wipe, get rid, throw away, throw out, drop, clear, purge, trash, discard, dispose, destroy, scrap, bin, take out, take away, take off, clean up, eliminate, cancel: delete remove
no longer, not any more, forget: delete remove unapprove close
shut: close
compute, calculate, work out: evaluate aggregate
measure, profile: trace performance
switch to: select
vote, upvote, like a, like the, like this, like that: emoji reaction
unlink, disconnect, detach: delete link disconnect
take back, withdraw, revoke, undo, retract: unapprove delete remove
copy, duplicate, clone, own copy: fork copy create
send, tell, inform, notify, announce, let know, ping, share, broadcast, say: post message send create
answer, reply, respond, get back to, react to: reply comment note message thread discussion
comment, remark, feedback, leave, mention: comment note create
say, said, wrote, written, said about: comment message note content
discuss, talk, chat, conversation, debate: discussion thread message channel comment
ask: request comment message
complain, fail, failed, failing, broken, broke, break, crash, go wrong, went wrong, wrong: error log status
submit, publish, release, post: publish post create submit
approve, sign off, thumbs up, lgtm, looks good, accept, agree, ok, green light: approve
reject, refuse, disapprove: reject unapprove review
review, look over, go over: review
land, ship, integrate, combine: merge
block, clash, collide, hold up, prevent: conflict block status
protect, lock, forbid, nobody, not allowed, allowed, only: protect allow
behind, up to date, bring up to date, catch up, sync: update branch
changed, differ, differs, different, difference, compare, comparison, touch, touched: diff changes compare
changes: diff changes
happen, happened, did, do, been doing, going on: list events history
go to, visit, browse, surf, take me, head over: navigate url
go back, back, previous, step back: back history navigate
refresh, reload: navigate reload
click, press, hit, push, tap: click press key
double click, right click: click
enter, type, key in, fill in, fill out, fill: type fill form
sign up, register: fill form
sign in, log in, logged in, log on: authenticated user sign fill
choose, pick, select: select option
hover, point at, mouse over, mouse: hover mouse
drop: drag drop
wait, hold on, until, as soon as: wait
stop, end, halt, quit: stop close
resize, shrink, enlarge, wider, narrower: resize
run, execute: run execute evaluate
record, film, capture: recording screencast capture
emulate, simulate, pretend, act like: emulate
convert, transform, translate, turn into, change into: convert transform
extract, parse, pick out: extract parse get
strip, trim: trim clean remove
compute, calculate, work out, add up: compute calculate sum
arrange, rank: sort order
split, divide, chunk, cut: split
join, concatenate, put together: join merge combine
format, pretty, beautify: format
encode, escape, quote: encode escape
decode, unescape: decode
mean, median: average median statistics
unique, distinct, duplicates, doubles, deduplicate: unique duplicates distinct
shorten, truncate, abbreviate, summarize, summarise: shorten truncate summary
permalink, slug: url slug
reverse, backwards: reverse
random: random generate
count, how many, number of: count
average, sum, total, group by, per, maximum, minimum, statistics: aggregate
match, matching, filter, where: query find filter
sort, order: query sort
connect, hook up: connect
know, known, knew, learn, learned, remembered, stored: search read graph memory
wait for me, waiting for me, work on, to act: todo assigned my
hand in: merge+request create
depend, depends: link relation
relate it: link
remember, keep in mind, don t forget, memorize, memorise: add create memory entities observations
relate, related, connected, knows, belongs to, works for, works at, married: relation
invite: member add
drive, walk, ride, cycle, travel, get from, get to, route, way to, trip, commute: directions route travel distance
far, how far, distance: distance
how long, take to: time duration travel distance
`;

/** Joins the words of one name. */
export const NAME_PARTS = '+';

/** What people say, by the names of tools that mean it. */
interface Senses {
  /** By the root of the word that was said. */
  words: ReadonlyMap<string, string[]>;
  /** By the roots of the words that were said. */
  phrases: ReadonlyMap<string, string[]>;
  /** All words that people or tools say, and their roots. */
  vocabulary: ReadonlySet<string>;
}

let read: Senses | undefined;

/** The table above; read when a request is first looked at, since most commands look at none. */
export const senses = (): Senses => (read ??= parse(`${ACTS.trim()}\n${THINGS.trim()}`));

function parse(table: string): Senses {
  const words = new Map<string, string[]>();
  const phrases = new Map<string, string[]>();
  for (const line of table.split('\n')) {
    const [said = '', meant = ''] = line.split(': ');
    for (const phrase of said.split(', ')) {
      const parts = phrase.split(' ').map(root);
      const known = parts.length > 1 ? phrases : words;
      const key = parts.join(' ');
      known.set(key, [...(known.get(key) ?? []), ...meant.split(' ')]);
    }
  }
  const vocabulary = new Set(table.split(/[^a-z0-9]+/).flatMap((word) => [word, root(word)]));
  return { words, phrases, vocabulary };
}
