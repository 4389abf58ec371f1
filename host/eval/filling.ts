import type { Task } from './task.ts';

const OFFICE = [
  'calendar_create_event',
  'calendar_list_events',
  'calendar_move_event',
  'room_find_free',
  'contacts_find',
  'mail_send',
  'timer_set',
];
const COUNTER = [
  'order_refund',
  'order_get',
  'orders_list',
  'ticket_create',
  'currency_convert',
  'unit_convert',
  'lights_set',
];

/** The request has all that the arguments need; each of them is checked. */
export const fillingTasks: Task[] = [
  {
    id: 'fill-event',
    kind: 'arguments',
    request:
      'Put "Release party" into my calendar on 3 April 2027, from half past two in the afternoon for 90 minutes.',
    tools: OFFICE,
    calls: [
      {
        tool: 'calendar_create_event',
        arguments: { title: 'Release party', date: '2027-04-03', start: '14:30', minutes: 90 },
      },
    ],
  },
  {
    id: 'fill-attendees',
    kind: 'arguments',
    request:
      'Create the event "Stock count" on 2027-03-20 at 08:15, three quarters of an hour, in the room Amber, with Anna, Tomas and Ines.',
    tools: OFFICE,
    calls: [
      {
        tool: 'calendar_create_event',
        arguments: {
          title: 'Stock count',
          date: '2027-03-20',
          start: '08:15',
          minutes: 45,
          room: { anyOf: ['Amber', 'room Amber'] },
          attendees: ['Anna', 'Tomas', 'Ines'],
        },
      },
    ],
  },
  {
    id: 'fill-free-room',
    kind: 'arguments',
    request: 'Find a room for 7 people on 29 March 2027 at quarter to nine in the morning, for two hours.',
    tools: OFFICE,
    calls: [
      { tool: 'room_find_free', arguments: { date: '2027-03-29', start: '08:45', minutes: 120, seats: 7 } },
    ],
  },
  {
    id: 'fill-move',
    kind: 'arguments',
    request: 'Move the event ev-312 to the next day, 16 March 2027, at 16:20.',
    tools: OFFICE,
    calls: [{ tool: 'calendar_move_event', arguments: { id: 'ev-312', date: '2027-03-16', start: '16:20' } }],
  },
  {
    id: 'fill-mail',
    kind: 'arguments',
    request:
      'Send a mail to iprado@example.org with the subject "Contract" and the text "Please sign by Friday".',
    tools: OFFICE,
    calls: [
      {
        tool: 'mail_send',
        arguments: { to: 'iprado@example.org', subject: 'Contract', body: 'Please sign by Friday' },
      },
    ],
  },
  {
    id: 'fill-refund',
    kind: 'arguments',
    request: 'Order O-4417 arrived in pieces. Give the customer 35.50 back for the damage.',
    tools: COUNTER,
    calls: [{ tool: 'order_refund', arguments: { id: 'O-4417', amount: 35.5, reason: 'damaged' } }],
  },
  {
    id: 'fill-filter',
    kind: 'arguments',
    request: 'Show me only those orders of Okafor that are on their way (shipped).',
    tools: COUNTER,
    calls: [{ tool: 'orders_list', arguments: { customer: 'Okafor', status: 'shipped' } }],
    says: ['o-4502'],
  },
  {
    id: 'fill-ticket',
    kind: 'arguments',
    request:
      'File a ticket titled "VPN drops every hour": high priority, labels network and vpn, assigned to Tomas.',
    tools: COUNTER,
    calls: [
      {
        tool: 'ticket_create',
        arguments: {
          title: 'VPN drops every hour',
          priority: 'high',
          labels: ['network', 'vpn'],
          assignee: 'Tomas',
        },
      },
    ],
  },
  {
    id: 'fill-currency',
    kind: 'arguments',
    request: 'What are 1,250 US dollars in Japanese yen?',
    tools: COUNTER,
    calls: [{ tool: 'currency_convert', arguments: { amount: 1250, from: 'USD', to: 'JPY' } }],
    says: [['189212.5', '189213', '189212']],
  },
  {
    id: 'fill-units',
    kind: 'arguments',
    request: 'A marathon has 26.2 miles. How many kilometres is that? Use the tool.',
    tools: COUNTER,
    calls: [
      {
        tool: 'unit_convert',
        arguments: {
          value: 26.2,
          from: { anyOf: ['mile', 'miles', 'mi'] },
          to: { anyOf: ['km', 'kilometer', 'kilometers', 'kilometre', 'kilometres'] },
        },
      },
    ],
    says: [['42.165', '42.16', '42.17', '42.2']],
  },
  {
    id: 'fill-dim',
    kind: 'arguments',
    request: 'Turn on the lights in the study, but only at 30 %.',
    tools: COUNTER,
    calls: [
      {
        tool: 'lights_set',
        arguments: { room: { anyOf: ['study', 'the study'] }, on: true, brightness: 30 },
      },
    ],
  },
];
