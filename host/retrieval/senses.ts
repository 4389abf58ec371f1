import { root } from './root.ts';

/**
 * What people say, and the words that tools use for it. Only a request is read with it: a tool is found by its own
 * words. Before the colon are ways to say a thing, after it what tools call it.
 */
const TABLE = `
mr, mrs: merge request
pr, prs: pull request
ticket, bug, defect: issue
report, raise: create issue
repo, repos, project: repository project
ci, build: pipeline status check
sign off, thumbs up, lgtm, looks good: approve
land, ship: merge
block, clash, collide: conflict
take back, withdraw, revoke, undo: unapprove delete remove
to do, task, tasks: todo
send, submit: publish post create
readme, source: file contents
under: parent move
column, columns, fields, structure: schema property
tick, check off: update done resolve
remark, remarks, comment, comments, reply: comment note thread discussion
answer, respond: reply comment note message
say, said, wrote, write, written: comment message note content
conversation: thread discussion
tag, tags: label
access: member permission
logged in, log in, sign in: authenticated user
person, people, nick, member: user
done, finish, finished: close update resolve
close, change, correct, fix, modify, set, switch: update edit
rename: update edit move
add, put, make, write, new, set up: create add
wipe, throw, throw away, get rid, erase, drop, clear, trash, remove: delete remove
show, see, read, look, open: get read retrieve
what, which: list get
everything, all: list
where, find, look for, locate: search find
how many: count
average, sum, total: aggregate
folder, folders: directory
disk, space: storage size file
remember, keep in mind: memory entity observation
know: search memory
forget: delete memory
picture, looks like, look like: screenshot
take me, go to, visit, open: navigate url
site, website: page browser
press, hit, push: click key press
sign up: fill form
menu, choose, pick: select option
attach: upload file
popup, alert: dialog
developer tools, devtools, errors: console message
calls, api call, backend: network request
slow, fast, speed: performance trace index
phone, mobile: emulate viewport device
dark mode: color scheme emulate
film, video, record: screencast recording
leak: heap snapshot memory
blind, disabled: accessibility
style, colour: css style
hold on, until: wait
back, step back: history navigate
tabs, tab: page tab
database, mongo: mongodb collection
record, records: document collection
complain, complained, failed: log error
row, rows: item document
drive, far, get to: distance directions route travel
high, altitude: elevation
street: address geocode
near, nearby, restaurant, shop: places local
news, world: web search
message, tell: post message
team: channel
heart, smile, react: reaction emoji
open source, library: repository
function: code
behind, up to date: update branch
changed, differ, different: diff changes
yesterday, last week, lately, recent, recently: list history
private, public: visibility
mistake, typo, wrong: error update edit
look up: search get
compare: diff
compares, comparison: diff changes
download, save, dump: export download write
store, keep: create insert save
copy, duplicate, clone: fork copy
enter, type: fill type
tap: click
photo, image: picture screenshot media
docs: document page
invite: member add
organisation, organization, company: group namespace
colleague, colleagues, teammate: member user
assigned, mine: assignee my
nearest, close by, around here: places local
route, way, walk, trip, travel: directions distance
how big, how large, largest, biggest, smallest: size
how long: time duration distance
when: date time info
prints, printed: log console
crash, broken, broke: error log
turn on, turn off, enable, disable: update set
content, contents, text: content read
subject, heading: title
due, overdue, deadline: date query filter
match, matching, filter: query find filter
structure, layout: schema tree
child, inside: children content
attachment, attachments: upload file
reopen: update state
accept, agree: approve accept merge
reject, refuse: reject unapprove
ask: request comment
discuss, talk, chat: discussion thread message channel
internet, online, google: web search
`;

const one = new Map<string, string[]>();
const several = new Map<string, string[]>();
for (const line of TABLE.trim().split('\n')) {
  const [said = '', meant = ''] = line.split(': ');
  for (const phrase of said.split(', ')) {
    const parts = phrase.split(' ').map(root);
    const table = parts.length > 1 ? several : one;
    const key = parts.join(' ');
    table.set(key, [...(table.get(key) ?? []), ...meant.split(' ')]);
  }
}

/** By the root of the word that was said. */
export const SENSES: ReadonlyMap<string, string[]> = one;
/** By the roots of the words that were said. */
export const PHRASES: ReadonlyMap<string, string[]> = several;
