import { namesCode, withoutWords } from './words.ts';

/** Neighbours of a number that say it is something else; accents are folded, as in words.ts. */

const MONTH =
  'jan|feb|mae?r|maj|mar|apr|may|mai|maj|jun|jul|aug|sep|oct|okt|nov|de[czk]|stycz|lut|kwie|czerw|lip|sierp|wrze|pazdz|listop|grud|janv|fev|avr|juin|juil|aou|ene|abr|ago|dic';

const DATE = 'part of a date';
const OTHER_NUMBER = 'behind a word for another number';

const beforeSigns: [RegExp, number, string][] = [
  [
    /(?<![a-z])(?:order|invoice|case|request|claim|ticket|ref(?:erence)?|booking|account|customer|(?:request |session |event )?id|no|nr|number|tracking|parcel|shipment|policy|transaction|confirmation (?:no|number)|receipt|serial|flight|gate|room|seat|stop|tel|phone|fax|call|hotline|mobile)\.?(?: (?:no|nr|number|id|code))?\.?\s*[:#]?\s*#?$/iu,
    -5,
    OTHER_NUMBER,
  ],
  [
    /(?<![a-z])(?:zamowieni\w+|faktur\w+|zgloszeni\w+|nr|numer\w*|przesylk\w+|klienta|rachunk\w+|kont\w+|paczk\w+|tel\.?|telefon\w*|infolini\w+|pokoj)(?: nr\.?| numer| \S{3,20})?\s*[:#]?\s*$/iu,
    -5,
    OTHER_NUMBER,
  ],
  [
    /(?:bestell|rechnungs|kunden|auftrags|sendungs|vorgangs|konto|telefon|ticket|buchungs|referenz|vertrags)(?:ung|-?nummer|-?nr\.?)?\s*[:#]?\s*$|(?:bestellung|rechnung|nummer|nr\.|tel\.|telefon|zimmer|hotline)\s*[:#]?\s*$/iu,
    -5,
    OTHER_NUMBER,
  ],
  [
    /(?<![a-z])(?:commande|facture|dossier|numero|n°|no|client|colis|ref(?:erence)?\.?|tel(?:ephone)?\.?|appelez le|vol|chambre|compte)(?: (?:n°|no|numero)| (?:de |d.)\S{3,20})?\s*[:#]?\s*$/iu,
    -5,
    OTHER_NUMBER,
  ],
  [
    /(?<![a-z])(?:pedido|factura|numero|num\.?|n\.o|cliente|referencia|ref\.|envio|telefono|tel\.|llame al|vuelo|habitacion|cuenta|caso)(?: (?:n\.?o|numero|de \S{3,20}))?\s*[:#]?\s*$/iu,
    -5,
    OTHER_NUMBER,
  ],
  [
    /(?:注文番号|予約番号|会員番号|電話番号|お問い合わせ番号|追跡番号|伝票番号|お客様番号|订单号?|單號|单号|电话|電話|客服|热线|手机号|尾号|尾號|末尾|末4桁|下4桁|运单|航班|编号|号码)(?:は|为|為|是)?\s*[:：]?\s*$/u,
    -6,
    OTHER_NUMBER,
  ],
  [
    /(?:ending|ends|end|last (?:4|four)(?: digits)?)(?: in| with|:)?\s*$|(?:konczac\w+ sie(?: na| cyframi)?|endet auf|endend auf|endziffern|(?:se )?termin(?:ant|e) par|terminad[oa]s? en|acabad[oa] en|se termine par|finissant par)\s*$|[x*•.…]{2,}\s*-?\s*$/iu,
    -6,
    'the end of a longer number',
  ],
  [
    /(?<![a-z])(?:reply|text|send|sms|antwort\w*|sende|odpisz|wyslij|repondez|envoyez|responde|envia)(?: \S+){0,3} (?:to|an|na|au|al) ?$/iu,
    -6,
    'a number to answer to',
  ],
  [/(?:[$€£¥]|usd|eur|gbp|pln|chf|jpy|cny|rmb|mxn|us\$)\s*$/iu, -6, 'a price'],
  [
    /(?<![a-z])(?:verwendungszweck|tytul\w* (?:przelewu|platnosci|wplaty)|concepto|motif du (?:paiement|virement)|payment reference|附言|振込名義)\s*:?\s*$/iu,
    -6,
    'what a payment is for',
  ],
  [/(?:©|\(c\)|copyright)\s*(?:\d{4}\s*-\s*)?$/iu, -6, 'a copyright year'],
  [
    new RegExp(
      `(?<![\\p{L}])(?:${MONTH})\\p{L}*\\.?,?\\s*(?:\\d{1,2}(?:st|nd|rd|th)?,?\\s*)?(?:de(?:l)? )?$`,
      'iu',
    ),
    -4,
    DATE,
  ],
  [
    /(?:^|\s)(?:(?<!key |type |put )in|since|from|until|of|by|year|od|do|roku|seit|ab|im jahr|depuis|en|desde|hasta|ano|annee)\s+$/iu,
    -1.5,
    'a year or amount',
  ],
  [
    /(?<![a-z])(?:str\.|strasse|str|ul\.|al\.|ave|avenue|street|road|suite|floor|rue|calle|platz|weg|postfach|p\.?o\.? box|apt\.?|block|box)\s*(?:\d+[,\s]+)?$/iu,
    -5,
    'part of an address',
  ],
  [
    /(?<![a-z])(?:version|ver\.?|build|release|v|windows|android|ios|firmware|chrome|firefox)\s*$/iu,
    -4,
    'a version',
  ],
  [/[+(]\s?\d[\d ()-]*$|\d[ ()-]{1,2}$/u, -5, 'part of a longer number'],
  [
    /(?<![a-z])(?:iso|rfc|din|error|http|fehler|erreur|blad|level|line|row|column|page|seite|strona|chapter|section|channel|bus|train|zug)\s*$/iu,
    -4,
    'a name of something else',
  ],
];

const afterSigns: [RegExp, number, string][] = [
  [
    /^\s*(?:€|\$|£|¥|円|元|zl|pln\b|eur\b|usd\b|gbp\b|chf\b|yen\b|euros?\b|dollars?\b|zlotych|pesos|mxn\b)/iu,
    -6,
    'a price',
  ],
  [
    /^\s*(?:%|percent|points?\b|punkt\w*|puntos|miles\b|ポイント|积分|px\b|km\b|kg\b|mb\b|gb\b|steps\b|users?\b|people|customers|items?\b|followers|views|名|人|件|个|歩)/iu,
    -5,
    'an amount',
  ],
  [
    /^\s*(?:min(?:ut\w*)?|minutes?|hours?|std|stunden?|godzin\w*|sekund\w*|seconds?|segundos|horas|heures|days?|dni|tage|jours|dias|分|秒|時間|小时|分钟|分鐘|天)(?!\p{L})/iu,
    -6,
    'a time',
  ],
  [
    /^\s*(?:\S+ )?(?:codes|kodow|codigos|logins|connexions|mails|messages|tokens)(?![a-z])/iu,
    -5,
    'an amount',
  ],
  [/^\s*(?:年|年度|roku\b|r\.\s)/u, -5, 'a year'],
  [/^\s*(?:[-/.]\s?\d|:\d\d)/u, -4, 'part of a date or number'],
  [/^ \d{2,}/u, -4, 'part of a longer number'],
  [
    /^,?\s+(?:(?:Main|High|Market|Park|Oak|King|Queen)\s)?(?:street|st\.|ave(?:nue)?|road|rd\.|blvd|drive|lane|way)\b/iu,
    -5,
    'part of an address',
  ],
];

/** `Code for your account:`: the number is the code's, whatever it is good for. `Code for order no:` says otherwise. */
const goodFor =
  /(?<![a-z])(?:for|to|into|of|on|do|na|dla|zu[mr]?|fu?e?r|auf|pour|aux?|de|sur|para|en)(?: (?!n[or]\b|numer|nummer|num|id\b)[^\s:：.#]{1,20}){1,3} ?[:：]\s*$/iu;

/** What stands right beside the token. */
export function contextScore(
  text: string,
  at: number,
  end: number,
  code: string,
): { points: number; why: string }[] {
  const whole = text.slice(Math.max(0, at - 80), at);
  const near = withoutWords(whole);
  const line = near.slice(near.lastIndexOf('\n') + 1);
  // In a table the name of a number stands in a cell of its own.
  const label = line.trim() === '' ? (/(?:^|\n)([^\n]{1,40})\n\s*$/.exec(near)?.[1] ?? '') : '';
  const before = label || line;
  const after = text.slice(end, end + 30).split('\n')[0] ?? '';
  const found: { points: number; why: string }[] = [];
  // With its words: `pour` may be one of them.
  const named = goodFor.test(whole.slice(near.lastIndexOf(before))) && namesCode(before);
  for (const [sign, points, why] of beforeSigns) {
    // Jan, 482913: a name. A day or a year is shorter.
    if (why === DATE && /^\d{5,}$/.test(code)) continue;
    if (sign.test(before) && !(named && why === OTHER_NUMBER)) found.push({ points, why });
  }
  for (const [sign, points, why] of afterSigns) if (sign.test(after)) found.push({ points, why });
  if (/^(?:19|20)\d\d$/.test(code) && !/[:：]\s*$/.test(before))
    found.push({ points: -3, why: 'looks like a year' });
  if (/^(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])$/.test(code))
    found.push({ points: -4, why: 'looks like a date' });
  if (/^[A-Z]{2}\d\d$/.test(code) && /^[ .*•x\d]/.test(after))
    found.push({ points: -4, why: 'the start of an account number' });
  if (/^[A-Z]{4,}\d{1,4}$/.test(code)) found.push({ points: -3, why: 'looks like a promotion' });
  // 80331 Munchen, 75001 Paris: five digits before a capitalized word.
  if (/^\d{5}$/.test(code) && /^,? \p{Lu}\p{Ll}{2,}/u.test(after) && !/[:：]\s*$/.test(before)) {
    found.push({ points: -4, why: 'looks like a postal code' });
  }
  if (/[:：]\s*$|(?:\bis|\bto|\blautet|\best|\bes|は|为|為|是)\s*[:：「【"“*]*\s*$/iu.test(before)) {
    found.push({ points: 1, why: 'said outright' });
  }
  return found;
}
