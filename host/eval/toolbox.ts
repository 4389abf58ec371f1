import { z } from 'zod';
import { mountable, type Mountable } from '../../kit/serve.ts';
import { toolFor, ToolError } from '../../kit/tool.ts';
import * as world from './world.ts';

const tool = toolFor<object>();

const date = z.string().regex(/^\d{4}-\d{2}-\d{2}$/, 'a date, YYYY-MM-DD');
const time = z.string().regex(/^\d{2}:\d{2}$/, 'a time, HH:MM');
const minutes = z.number().int().min(1).max(1440);
const done = z.object({ id: z.string() });

/** Small tools over a world that never changes, so that a task always comes out the same. */
export const toolbox = [
  tool({
    name: 'weather_forecast',
    title: 'Weather forecast',
    description: 'The weather of a city on a day.',
    effect: 'read',
    input: z.object({ city: z.string(), day: z.enum(['today', 'tomorrow']) }),
    output: z.object({ city: z.string(), temperature_c: z.number(), sky: z.string() }),
    run: async ({ city, day }) => ({ city, ...known(world.weather, `${city} ${day}`, 'forecast') }),
  }),
  tool({
    name: 'currency_convert',
    title: 'Convert currency',
    description: 'Converts an amount of money at the rate of the house.',
    effect: 'read',
    input: z.object({
      amount: z.number(),
      from: z.string().length(3).describe('ISO 4217, e.g. EUR'),
      to: z.string().length(3),
    }),
    output: z.object({ amount: z.number() }),
    run: async ({ amount, from, to }) => {
      const rate = known(world.rates, `${from} ${to}`, 'rate').rate;
      return { amount: Math.round(amount * rate * 100) / 100 };
    },
  }),
  tool({
    name: 'unit_convert',
    title: 'Convert units',
    description: 'Converts a length, a weight or a volume between units.',
    effect: 'read',
    input: z.object({ value: z.number(), from: z.string().describe('e.g. mile'), to: z.string() }),
    output: z.object({ value: z.number() }),
    run: async ({ value, from, to }) => {
      return { value: Math.round(value * known(world.units, `${from} ${to}`, 'unit').factor * 1000) / 1000 };
    },
  }),
  tool({
    name: 'calendar_list_events',
    title: 'List events',
    description: 'The events in the calendar on a date.',
    effect: 'read',
    input: z.object({ date }),
    output: z.object({
      events: z.array(
        z.object({
          id: z.string(),
          title: z.string(),
          start: z.string(),
          minutes: z.number(),
          room: z.string(),
        }),
      ),
    }),
    run: async ({ date: day }) => ({ events: world.events.filter((one) => one.date === day) }),
  }),
  tool({
    name: 'calendar_create_event',
    title: 'Create an event',
    description: 'Puts a new event into the calendar.',
    effect: 'write',
    input: z.object({
      title: z.string(),
      date,
      start: time,
      minutes,
      room: z.string().optional(),
      attendees: z.array(z.string()).optional().describe('first names'),
    }),
    output: done,
    run: async () => ({ id: 'ev-901' }),
  }),
  tool({
    name: 'calendar_move_event',
    title: 'Move an event',
    description: 'Moves an event of the calendar to another date or time.',
    effect: 'write',
    input: z.object({ id: z.string().describe('as calendar_list_events gives it'), date, start: time }),
    output: done,
    run: async ({ id }) => ({ id: known(byId(world.events), id, 'event').id }),
  }),
  tool({
    name: 'room_find_free',
    title: 'Find a free room',
    description: 'Rooms that are free at a time and have enough seats.',
    effect: 'read',
    input: z.object({ date, start: time, minutes, seats: z.number().int() }),
    output: z.object({ rooms: z.array(z.string()) }),
    run: async ({ seats }) => ({
      rooms: world.rooms.filter((one) => one.seats >= seats).map((one) => one.name),
    }),
  }),
  tool({
    name: 'contacts_find',
    title: 'Find a contact',
    description: 'Address, telephone and department of a person in the company.',
    effect: 'read',
    input: z.object({ name: z.string() }),
    output: z.object({ name: z.string(), email: z.string(), phone: z.string(), department: z.string() }),
    run: async ({ name }) => {
      const found = world.people.find((one) => one.name.toLowerCase().includes(name.trim().toLowerCase()));
      if (!found) throw nothing('person', name);
      return found;
    },
  }),
  tool({
    name: 'mail_send',
    title: 'Send mail',
    description: 'Sends an e-mail.',
    effect: 'write',
    input: z.object({ to: z.string().describe('e-mail address'), subject: z.string(), body: z.string() }),
    output: done,
    run: async ({ to }) => {
      if (!to.includes('@')) throw new ToolError(`${to} is no e-mail address: find it with contacts_find.`);
      return { id: 'mail-77' };
    },
  }),
  tool({
    name: 'files_search',
    title: 'Search files',
    description: 'Paths of shared files whose name or text has a word.',
    effect: 'read',
    input: z.object({ query: z.string(), extension: z.string().optional().describe('e.g. pdf') }),
    output: z.object({ paths: z.array(z.string()) }),
    run: async ({ query, extension = '' }) => {
      const words = query.toLowerCase().split(/\W+/).filter(Boolean);
      const found = Object.entries(world.files).filter(([path, text]) => {
        const whole = `${path} ${text}`.toLowerCase();
        return path.endsWith(extension.replace(/^\./, '')) && words.some((word) => whole.includes(word));
      });
      return { paths: found.map(([path]) => path) };
    },
  }),
  tool({
    name: 'files_read',
    title: 'Read a file',
    description: 'The text of a shared file.',
    effect: 'read',
    input: z.object({ path: z.string() }),
    output: z.object({ text: z.string() }),
    run: async ({ path }) => ({ text: known(world.files, path, 'file') }),
  }),
  tool({
    name: 'stock_level',
    title: 'Stock level',
    description: 'How many of an article are in the warehouse, and on which shelf.',
    effect: 'read',
    input: z.object({ sku: z.string().describe('article number, e.g. AB-100') }),
    output: z.object({ sku: z.string(), on_hand: z.number(), shelf: z.string() }),
    run: async ({ sku }) => known(world.stock, sku.toUpperCase(), 'article'),
  }),
  tool({
    name: 'orders_list',
    title: 'List orders',
    description: 'The orders of a customer.',
    effect: 'read',
    input: z.object({
      customer: z.string(),
      status: z.enum(['open', 'shipped', 'delivered']).optional(),
    }),
    output: z.object({
      orders: z.array(z.object({ id: z.string(), status: z.string(), total: z.number() })),
    }),
    run: async ({ customer, status }) => ({
      orders: world.orders.filter((one) => {
        return (
          one.customer.toLowerCase() === customer.trim().toLowerCase() && (!status || one.status === status)
        );
      }),
    }),
  }),
  tool({
    name: 'order_get',
    title: 'Get an order',
    description: 'One order by its number: total, status and tracking number.',
    effect: 'read',
    input: z.object({ id: z.string().describe('e.g. O-1001') }),
    output: z.object({
      id: z.string(),
      customer: z.string(),
      status: z.string(),
      total: z.number(),
      tracking: z.string(),
    }),
    run: async ({ id }) => known(byId(world.orders), id.toUpperCase(), 'order'),
  }),
  tool({
    name: 'order_refund',
    title: 'Refund an order',
    description: 'Pays money back to the customer of an order.',
    effect: 'write',
    input: z.object({
      id: z.string(),
      amount: z.number().positive(),
      reason: z.enum(['damaged', 'late', 'wrong_item', 'other']),
    }),
    output: done,
    run: async ({ id }) => ({ id: known(byId(world.orders), id.toUpperCase(), 'order').id }),
  }),
  tool({
    name: 'parcel_track',
    title: 'Track a parcel',
    description: 'Where a parcel is, by its tracking number.',
    effect: 'read',
    input: z.object({ tracking: z.string() }),
    output: z.object({ place: z.string(), expected: z.string() }),
    run: async ({ tracking }) => known(world.parcels, tracking.toUpperCase(), 'parcel'),
  }),
  tool({
    name: 'ticket_create',
    title: 'Create a ticket',
    description: 'Files a ticket with the support team.',
    effect: 'write',
    input: z.object({
      title: z.string(),
      priority: z.enum(['low', 'normal', 'high', 'urgent']),
      labels: z.array(z.string()).optional(),
      assignee: z.string().optional(),
    }),
    output: done,
    run: async () => ({ id: 'T-512' }),
  }),
  tool({
    name: 'lights_set',
    title: 'Set lights',
    description: 'Turns the lights of a room on or off, or dims them.',
    effect: 'write',
    input: z.object({
      room: z.string(),
      on: z.boolean(),
      brightness: z.number().int().min(0).max(100).optional().describe('in per cent'),
    }),
    output: z.object({ room: z.string(), on: z.boolean() }),
    run: async ({ room, on }) => ({ room, on }),
  }),
  tool({
    name: 'timer_set',
    title: 'Set a timer',
    description: 'Starts a timer.',
    effect: 'write',
    input: z.object({ minutes, label: z.string() }),
    output: done,
    run: async () => ({ id: 'timer-3' }),
  }),
];

/** The tools of the box that change something. */
export const writes = toolbox.filter((one) => one.effect !== 'read').map((one) => one.name);

/** A server with some tools of the box. */
export function serverWith(names: readonly string[]): Mountable {
  return mountable({
    name: 'office',
    title: 'Office',
    instructions: 'Calendar, mail, files, orders and warehouse of a small company.',
    config: z.object({}),
    open: async () => ({}),
    close: async () => undefined,
    tools: toolbox.filter((one) => names.includes(one.name)),
    resources: [],
    prompts: [],
  });
}

function byId<T extends { id: string }>(list: readonly T[]): Record<string, T> {
  return Object.fromEntries(list.map((one) => [one.id, one]));
}

function known<T>(table: Readonly<Record<string, T>>, key: string, what: string): T {
  const name = Object.keys(table).find((one) => one.toLowerCase() === key.trim().toLowerCase());
  const found = name === undefined ? undefined : table[name];
  if (found === undefined) throw nothing(what, key);
  return found;
}

const nothing = (what: string, key: string) =>
  new ToolError(`There is no ${what} for ${JSON.stringify(key)}. Check it and call again.`);
