/** What people call things, and what tools call them; read by senses.ts. */
export const THINGS = `
mr, mrs, merge request: merge+request
pr, prs, pull request: pull+request
ticket, tickets, bug, bugs, defect, problem, story: issue
to do, todos, to dos: todo
task, tasks, card: issue todo item
repo, repos, repository, codebase, project: repository project
library, package, open source: repository
source, code, function, class, method: code file contents
ci, build, builds, checks, tests, red, green, pass, passed: pipeline status check
commit, revision, version, change: commit version
history, log: commits history list
line, lines: blame file
author, wrote, introduced, blame: blame author commit
branch, master, main: branch
label, labels, tag, tags, category: label
person, people, colleague, colleagues, teammate, teammates, coworker, staff, member, members, nick, guy, anyone, everybody, somebody: user member
access, permission, permissions, rights, allowed in: member permission access
me, myself, my account, i am, am i: authenticated user current self
assigned, mine, on my plate: assignee my assigned
reviewer, reviewers: review approver
team, organisation, organization, company, department: group organization namespace
sprint, iteration, milestone: iteration milestone
settings, configuration, config, yaml, yml: settings configuration
visibility, private, public: visibility
attachment, attachments, upload: file attachment upload
emoji, smiley, heart, smile, react, thumbsup, rocket, thumbs: emoji reaction
thread, threads: thread discussion replies
draft, unsent, pending: draft
notification, notifications, inbox: todo
activity, yesterday, last week, last month, lately, recent, recently, today, this week: recent events history commits
folder, folders, directories: directory
document, documents, text, notes, letter: file document page
readme, manual: file contents
disk, drive, space, gigabytes, megabytes: storage size file
how big, how large, largest, biggest, smallest, big, large, heavy, weigh: size
last changed, modified, when, date, old: time info date
picture, pictures, photo, photos, image, images, png, jpg, mp3, audio, song: media image
looks like, look like, how it looks, screen: screenshot snapshot
content, contents: content read
several, multiple, both, these, two, three, many, five, ten: multiple many
tree, structure, layout, nested, hierarchy: tree schema structure
site, website, webpage, web: page browser
link, links, related: link url
address, url: url address
browser, chrome, firefox: browser page
button, icon, logo: click element
field, input, box: text input field
form, forms, application: form fill
menu, dropdown, list box, country: select option dropdown
popup, pop up, alert, prompt, modal: dialog
tab, tabs, window: page tab window
developer tools, devtools, console, errors, error, warnings, warning: console message log
request, requests, calls, api call, backend, traffic, server: network request
slow, slowly, fast, speed, faster, performance, lag: performance trace explain index
seo, accessible, accessibility, blind, disabled, best practices, score, audit: accessibility audit lighthouse
phone, mobile, tablet, smartphone, iphone, android: emulate viewport device resize
offline, slow network, 3g: emulate network
dark mode, dark, dark theme, light mode: color+scheme emulate media
colour, color, font, style, styled, margin, looks: css style color
javascript, script, snippet: javascript script evaluate
key, keyboard, enter, escape, shortcut: key press
video, film, movie: screencast recording video
memory, leak, leaks, ram, heap: heap+snapshot memory
wait for, appear, appears, shows up: wait text appear
database, databases, mongo, db: database mongodb
table, tables: collection database data+source
collection: collection
record, records, row, rows, entry, entries, order, orders, customer, customers, product, products: documents document
column, columns, attribute, attributes, fields: schema property field
index, indexes, indices: index
query, queries, plan, execution: query explain
average price: aggregate
guide, docs, documentation, best practice: knowledge documentation search
remark, remarks, comments, opinion: comment note review
page, pages, notion: page
on the page, on this page, on that page, on screen, on the screen, elements, element, page says: snapshot text
block, paragraph, bullet, heading, section: block+children block
subject, title: title
property, due, overdue, deadline, status: property query date filter
workspace: users workspace
archive, child, inside, sub: parent children
template, templates: template
tracker, spreadsheet: data+source query database
fact, facts, about: observation memory
graph: graph
location, where am i, position: geolocation coordinates location emulate
tooltip: hover
load, loads, loaded: network request navigate
subfolder, subfolders, recursively: directory+tree directory
star, stars, fork, forks: repository project
token, connection, alive: health check connection authentication
variable: evaluate script
log in: authenticated
state, progress: status state
opened, opener: author
print version, print preview: media emulate
friend, brother, sister, wife, husband, boss, mother, father, likes, prefers, birthday: entities observations
channel, channels, room, rooms: channel
message, messages, dm: message
morning, afternoon, earlier: history recent
profile, email, time zone, phone number, mail: profile details user
coordinates, latitude, longitude, lat, gps: coordinates geocode
street, house, postcode, zip: address geocode
high, altitude, height, elevation, sea level, mountain: elevation
near, nearby, nearest, close by, around here, closest, neighbourhood, local: places local
restaurant, shop, shops, store, cafe, coffee, hotel, dentist, doctor, pharmacy, museum, bar, pizza, hairdresser, cinema, station, gym, bakery: places local business
opening hours, open on, open now, rating, reviews, phone: place details
directions, car, bike, bus, train, motorway: directions
news, world, internet, online, google, latest, newest, weather, election, current: web+search news
`;
