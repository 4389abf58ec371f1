import type { Task } from './task.ts';

const DESK = [
  'calendar_list_events',
  'calendar_move_event',
  'contacts_find',
  'mail_send',
  'files_search',
  'files_read',
  'room_find_free',
  'calendar_create_event',
];
const SHOP = [
  'orders_list',
  'order_get',
  'order_refund',
  'parcel_track',
  'stock_level',
  'currency_convert',
  'files_search',
  'files_read',
];

/** What the second call needs is in the first one's result. */
export const twoStepTasks: Task[] = [
  {
    id: 'two-parcel',
    kind: 'two-step',
    request: 'Where is the parcel of order O-4417 now?',
    tools: SHOP,
    calls: [
      { tool: 'order_get', arguments: { id: 'O-4417' } },
      { tool: 'parcel_track', arguments: { tracking: 'PX8831' } },
    ],
    says: [['malmö', 'malmo']],
  },
  {
    id: 'two-mail',
    kind: 'two-step',
    request: 'Write to Anna Wrona, subject "Lunch", text "See you at noon". Look her address up.',
    tools: DESK,
    calls: [
      { tool: 'contacts_find' },
      {
        tool: 'mail_send',
        arguments: { to: 'a.wrona@example.org', subject: 'Lunch', body: 'See you at noon' },
      },
    ],
  },
  {
    id: 'two-move',
    kind: 'two-step',
    request: 'Move the budget review of 2027-03-15 to 2027-03-19, same time.',
    tools: DESK,
    calls: [
      { tool: 'calendar_list_events', arguments: { date: '2027-03-15' } },
      { tool: 'calendar_move_event', arguments: { id: 'ev-311', date: '2027-03-19', start: '09:30' } },
    ],
  },
  {
    id: 'two-file',
    kind: 'two-step',
    request:
      'How many days of holiday do our rules let us carry over into the next year? It is in a shared file.',
    tools: DESK,
    calls: [{ tool: 'files_search' }, { tool: 'files_read', arguments: { path: 'hr/holiday-rules.md' } }],
    says: [['6', 'six', 'sześć']],
  },
  {
    id: 'two-refund',
    kind: 'two-step',
    request: 'Order O-4432 came too late. Pay its whole total back.',
    tools: SHOP,
    calls: [
      { tool: 'order_get', arguments: { id: 'O-4432' } },
      { tool: 'order_refund', arguments: { id: 'O-4432', amount: 97.15, reason: 'late' } },
    ],
  },
  {
    id: 'two-offer',
    kind: 'two-step',
    request:
      'Our offer to Lindqvist (a shared file) names an article and a number of units. How many of that article are missing in the warehouse?',
    tools: ['files_search', 'files_read', 'stock_level', 'orders_list', 'contacts_find', 'weather_forecast'],
    calls: [
      { tool: 'files_read', arguments: { path: 'sales/offer-lindqvist.pdf' } },
      { tool: 'stock_level', arguments: { sku: 'CK-207' } },
    ],
    says: ['177'],
  },
  {
    id: 'two-book',
    kind: 'two-step',
    request:
      'Find a free room with 15 seats on 2027-03-23 at 13:00 for 60 minutes, then put "Town hall" into the calendar there at that time.',
    tools: DESK,
    calls: [
      { tool: 'room_find_free', arguments: { date: '2027-03-23', start: '13:00', minutes: 60, seats: 15 } },
      {
        tool: 'calendar_create_event',
        arguments: { title: 'Town hall', date: '2027-03-23', start: '13:00', minutes: 60, room: 'Malachite' },
      },
    ],
  },
];
