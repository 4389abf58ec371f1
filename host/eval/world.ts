/** What the tools of the evaluation know. None of it can be guessed: an answer that has it has used a tool. */
export const weather: Record<string, { temperature_c: number; sky: string }> = {
  'Gdańsk today': { temperature_c: 13.7, sky: 'fog' },
  'Gdansk today': { temperature_c: 13.7, sky: 'fog' },
  'Oslo today': { temperature_c: -4.6, sky: 'snow' },
  'Oslo tomorrow': { temperature_c: -7.2, sky: 'clear' },
  'Lisbon tomorrow': { temperature_c: 21.4, sky: 'thunderstorm' },
};

export const rates: Record<string, { rate: number }> = {
  'EUR PLN': { rate: 4.2173 },
  'USD JPY': { rate: 151.37 },
  'GBP CHF': { rate: 1.1386 },
};

export const units: Record<string, { factor: number }> = {
  'mile km': { factor: 1.609344 },
  'miles km': { factor: 1.609344 },
  'mile kilometer': { factor: 1.609344 },
  'miles kilometers': { factor: 1.609344 },
  'mile kilometre': { factor: 1.609344 },
  'miles kilometres': { factor: 1.609344 },
  'mile kilometers': { factor: 1.609344 },
  'mi km': { factor: 1.609344 },
};

export const events = [
  { id: 'ev-311', date: '2027-03-15', title: 'Budget review', start: '09:30', minutes: 45, room: 'Amber' },
  { id: 'ev-312', date: '2027-03-15', title: 'Supplier call', start: '14:00', minutes: 30, room: 'Cobalt' },
  { id: 'ev-340', date: '2027-03-18', title: 'Fire drill', start: '11:10', minutes: 20, room: 'Yard' },
];

export const rooms = [
  { name: 'Cobalt', seats: 4 },
  { name: 'Amber', seats: 8 },
  { name: 'Malachite', seats: 18 },
];

export const people = [
  { name: 'Anna Wrona', email: 'a.wrona@example.org', phone: '+48 58 555 01 17', department: 'Purchasing' },
  { name: 'Tomas Berg', email: 't.berg@example.org', phone: '+47 22 555 04 93', department: 'Logistics' },
  { name: 'Ines Prado', email: 'iprado@example.org', phone: '+351 21 555 0266', department: 'Legal' },
];

export const files: Record<string, string> = {
  'hr/holiday-rules.md': 'Each employee has 27 days of holiday a year. Up to 6 of them may be carried over.',
  'it/guest-wifi.txt':
    'The guest network is HERON-GUEST. The pass phrase changes on Mondays: ask the front desk.',
  'sales/offer-lindqvist.pdf':
    'Offer to Lindqvist AB: 340 units of CK-207 at 18.60 EUR each, valid until 2027-04-09.',
  'sales/travel-report.md': 'Report of the trip to Turin: the fair brought 58 new contacts.',
};

export const stock: Record<string, { sku: string; on_hand: number; shelf: string }> = {
  'CK-207': { sku: 'CK-207', on_hand: 163, shelf: 'H4' },
  'ZL-019': { sku: 'ZL-019', on_hand: 0, shelf: 'B2' },
  'RM-550': { sku: 'RM-550', on_hand: 2874, shelf: 'K9' },
};

export const orders = [
  { id: 'O-4417', customer: 'Lindqvist', status: 'shipped', total: 612.4, tracking: 'PX8831' },
  { id: 'O-4432', customer: 'Lindqvist', status: 'open', total: 97.15, tracking: '' },
  { id: 'O-4502', customer: 'Okafor', status: 'shipped', total: 1288.9, tracking: 'PX9046' },
  { id: 'O-4519', customer: 'Moreau', status: 'delivered', total: 54.3, tracking: 'PX7120' },
];

export const parcels: Record<string, { place: string; expected: string }> = {
  PX8831: { place: 'Malmö depot', expected: '2027-03-17' },
  PX9046: { place: 'customs in Rotterdam', expected: '2027-03-22' },
};
