/** Words and neighbours that speak for a code, or against it, in the languages that mails and SMS come in. */

const STRONG = [
  // English
  'verification code|verification number|security code|one[- ]?time (?:pass)?(?:code|word|pin)|passcode|otp|(?:sign|log)[- ]?in code|log-?in pin|access code|auth(?:entication|orization|orisation)? code|confirmation code|2fa code|two[- ](?:factor|step)[- ]?(?:verification |authentication )?code|temporary (?:code|password)|device code|(?:your|the|this|following|enter)(?: \\S+){0,3} code|code is|use code|use \\S{4,12} (?:as|to)|pin(?: code)? is|steam guard code|magic code|validation code|reset code|code to',
  // Polish
  'kod(?:em|u)? (?:weryfikac\\w+|autoryzac\\w+|dost\u0119pu|bezpiecze\u0144stwa|jednorazow\\w+|potwierdzaj\u0105c\\w+|logowania|sms|aktywac\\w+|uwierzytelni\\w+)|has\u0142o (?:jednorazowe|sms)|jednorazow\\w+ (?:kod|has\u0142o)|smskod|tw\u00f3j kod|kod to|podaj kod|wpisz kod|u\u017cyj kodu',
  // German
  '(?:best\u00e4tigungs|sicherheits|verifizierungs|verifikations|einmal|zugangs|anmelde|login|authentifizierungs|pr\u00fcf|freischalt|sms-?|aktivierungs)-?code|einmal(?:passwort|kennwort|-pin)|(?:sms-|mobile ?)?tan(?: lautet| ist)?|(?:ihr|dein|der|den|diesen|folgenden)(?: \\S+){0,2} code|code lautet|best\u00e4tigungs-?pin',
  // French
  'code (?:de (?:v\u00e9rification|s\u00e9curit\u00e9|confirmation|connexion|validation)|d.(?:acc\u00e8s|authentification|activation)|\u00e0 usage unique|secret|temporaire)|mot de passe (?:\u00e0 usage )?unique|(?:votre|ton|le|ce) code|code est',
  // Spanish
  'c\u00f3digo (?:de (?:verificaci\u00f3n|seguridad|confirmaci\u00f3n|acceso|inicio|autenticaci\u00f3n|un solo uso|activaci\u00f3n)|temporal|\u00fanico|otp)|(?:tu|su|el|este|siguiente) c\u00f3digo|clave (?:de acceso|din\u00e1mica|temporal|\u00fanica|de seguridad)|contrase\u00f1a (?:de un solo uso|temporal)|c\u00f3digo es',
  // Japanese, Chinese
  '認証(?:コード|番号|キー)|確認(?:コード|番号)|検証コード|セキュリティ ?コード|ワンタイム ?(?:パスワード|コード|パスコード)|パスコード|ログインコード|本人確認コード|暗証番号|验证码|驗證碼|校验码|确认码|確認碼|动态(?:密)?码|动态密码|一次性(?:密码|密碼|代码)|安全码|安全碼|登录码|登入碼|激活码|认证码|認證碼|短信口令',
].join('|');

const WEAK =
  'code|codes|pin|otp|passwort|kennwort|password|kod|kodu|has\u0142o|c\u00f3digo|clave|コード|パスワード|番号|代码|密码|碼|verify|verification|weryfikac\\w+|best\u00e4tig\\w+|v\u00e9rifi\\w+|verific\\w+|验证|認証|tan';

// "Code" in another sense: what follows is none of ours.
const OTHER_CODE =
  /(?:discount|promo(?:tion(?:al)?)?|coupon|voucher|referral|invite|gift(?: ?card)?|offer|zip|postal|post|area|country|dress|source|error|status|tracking|bar|qr|booking|reservation|product|item|student|sort|swift|bic|vat|tax|building|gate|door|class|course|colou?r|morse|exit|unlock)[- ]?codes?|code (?:promo(?:tionnel)?|postal|de r\u00e9duction|barres|parrain\w*|avantage|article)|c\u00f3digo (?:promocional|postal|de (?:descuento|barras|reserva|pedido|producto|seguimiento|referido))|kod(?:em|u)? (?:rabatow\w+|promocyjn\w+|pocztow\w+|kreskow\w+|qr|paczki|odbioru|b\u0142\u0119du|produktu|polecaj\u0105c\w+)|(?:gutschein|rabatt|aktions|vorteils|fehler|bar|qr-|bestell|artikel|produkt|buchungs|werbe)-?codes?|(?:クーポン|割引|招待|紹介|プロモーション|予約|商品|エラー|QR|バー|管理)コード|(?:優惠|优惠|折扣|邀请|邀請|兑换|推荐|错误|取件|促销)(?:碼|码|代码)|邮政编码|郵便番号|注文番号|予約番号|会員番号|電話番号|お問い合わせ番号|追跡番号|伝票番号|订单号|单号|手机号/giu;

// Words of Chinese and Japanese stand next to each other; others begin where no letter is before them.
const strong = new RegExp(`(?<![A-Za-zÀ-ɏ])(?:${STRONG})`, 'giu');
const weak = new RegExp(`(?<![A-Za-zÀ-ɏ])(?:${WEAK})(?![a-z])`, 'giu');
const asked =
  /^ ?(?:to|in order to) (?:confirm|verify|sign|log|complete|finish|continue|approve|authori[sz]e)|^,? ?(?:aby|żeby) (?:potwierdzić|zalogować|dokończyć|zatwierdzić)|^ ?(?:ein|ein,) um .{0,30}(?:anzumelden|bestätigen)|^ ?pour (?:confirmer|valider|vous connecter|terminer)|^ ?para (?:confirmar|verificar|iniciar|completar|entrar)/iu;
/** How far a word reaches, in characters, before and after the token. */
const REACH = 90;
const REACH_AFTER = 60;

/** Whether a text speaks of a code anywhere. */
export const speaksOfCodes = (text: string) => masked(text).search(strong) >= 0;

/** The nearest word for a code around the token; `about`: the message speaks of one somewhere. */
export function wordScore(
  text: string,
  at: number,
  end: number,
  about: boolean,
): { points: number; why: string } {
  // Codes of another kind are put out of sight, in place: their `code` is none of ours.
  const before = masked(text.slice(Math.max(0, at - REACH), at));
  const after = masked(text.slice(end, end + REACH_AFTER));
  const other = before.lastIndexOf(MASK);
  const near = last(before, strong);
  if (near >= 0 && near > other) {
    const distance = before.length - near;
    return { points: (distance <= 45 ? 5 : 4) - apart(before.slice(near)), why: 'behind words for a code' };
  }
  const close = last(before, weak);
  if (close > other && before.length - close <= 40) {
    return { points: 3.5 - apart(before.slice(close)), why: 'behind a word for a code' };
  }
  if (other >= 0) return { points: -4, why: 'a code of another kind' };
  const sentence = after.split(/[.!?。\n]/)[0] ?? '';
  if (asked.test(sentence)) return { points: 4, why: 'to be entered' };
  const next = sentence.search(strong);
  if (next >= 0) return { points: 4 - apart(sentence.slice(0, next)), why: 'before words for a code' };
  const some = sentence.search(weak);
  if (some >= 0 && some <= 30)
    return { points: 3 - apart(sentence.slice(0, some)), why: 'before a word for a code' };
  return about ? { points: 2, why: 'in a message about a code' } : { points: 0, why: '' };
}

const MASK = '\u0001';
const masked = (text: string) => text.replace(OTHER_CODE, (found) => MASK.repeat(found.length));

/** What stands between a word and its number, when it is not that number's word any more. */
function apart(between: string): number {
  return (/\d{4}/.test(between) ? 2.5 : 0) + (/[.!?] (?=\p{Lu})|。/u.test(between) ? 1 : 0);
}

/** Where the last match begins; -1 for none. */
function last(text: string, pattern: RegExp): number {
  let at = -1;
  for (const match of text.matchAll(pattern)) at = match.index;
  return at;
}

const MONTH =
  'jan|feb|m[aä\u00e1]r|apr|may|mai|maj|jun|jul|aug|sep|oct|okt|nov|de[czk]|stycz|lut|kwie|czerw|lip|sierp|wrze|pa\u017adz|listop|grud|janv|f\u00e9v|avr|juin|juil|ao\u00fb|ene|abr|ago|dic';

const beforeSigns: [RegExp, number, string][] = [
  [
    /(?:order|invoice|ticket|case|ref(?:erence)?|booking|account|customer|id|no|nr|number|tracking|parcel|shipment|policy|transaction|confirmation (?:no|number)|receipt|serial|flight|gate|room|seat|stop|tel|phone|fax|call|hotline|mobile)\.?(?: (?:no|nr|number|id|code))?\.?\s*[:#]?\s*#?$/iu,
    -5,
    'behind a word for another number',
  ],
  [
    /(?:zam\u00f3wieni\w+|faktur\w+|zg\u0142oszeni\w+|nr|numer\w*|przesy\u0142k\w+|klienta|rachunk\w+|kont\w+|paczk\w+|tel\.?|telefon\w*|infolini\w+|pok\u00f3j)(?: nr\.?| numer)?\s*[:#]?\s*$/iu,
    -5,
    'behind a word for another number',
  ],
  [
    /(?:bestell|rechnungs|kunden|auftrags|sendungs|vorgangs|konto|telefon|ticket|buchungs|referenz|vertrags)(?:ung|-?nummer|-?nr\.?)?\s*[:#]?\s*$|(?:bestellung|rechnung|nummer|nr\.|tel\.|telefon|zimmer|hotline)\s*[:#]?\s*$/iu,
    -5,
    'behind a word for another number',
  ],
  [
    /(?:commande|facture|dossier|num\u00e9ro|n\u00b0|n\u00ba|client|colis|r\u00e9f(?:\u00e9rence)?\.?|t\u00e9l(?:\u00e9phone)?\.?|appelez le|vol|chambre|compte)(?: (?:n\u00b0|num\u00e9ro))?\s*[:#]?\s*$/iu,
    -5,
    'behind a word for another number',
  ],
  [
    /(?:pedido|factura|n\u00famero|n\u00fam\.?|n\.\u00ba|cliente|referencia|ref\.|env\u00edo|tel\u00e9fono|tel\.|llame al|vuelo|habitaci\u00f3n|cuenta|caso)(?: (?:n\.?\u00ba|n\u00famero|de \\w+))?\s*[:#]?\s*$/iu,
    -5,
    'behind a word for another number',
  ],
  [
    /(?:注文番号|予約番号|会員番号|電話番号|お問い合わせ番号|追跡番号|伝票番号|お客様番号|订单号?|單號|单号|电话|電話|客服|热线|手机号|尾号|尾號|末尾|末4桁|下4桁|运单|航班|编号|号码)(?:は|为|為|是)?\s*[:：]?\s*$/u,
    -6,
    'behind a word for another number',
  ],
  [
    /(?:ending|ends|end|last (?:4|four)(?: digits)?)(?: in| with|:)?\s*$|(?:ko\u0144cz\u0105c\w+ si\u0119(?: na| cyframi)?|endet auf|endend auf|endziffern|(?:se )?termin(?:ant|e) par|terminad[oa]s? en|acabad[oa] en|se termine par|finissant par)\s*$|[x*\u2022.\u2026]{2,}\s*-?\s*$/iu,
    -6,
    'the end of a longer number',
  ],
  [/(?:[$€£¥]|usd|eur|gbp|pln|chf|jpy|cny|rmb|mxn|us\$)\s*$/iu, -6, 'a price'],
  [/(?:\u00a9|\(c\)|copyright)\s*(?:\d{4}\s*-\s*)?$/iu, -6, 'a copyright year'],
  [
    new RegExp(
      `(?<![\\p{L}])(?:${MONTH})\\p{L}*\\.?,?\\s*(?:\\d{1,2}(?:st|nd|rd|th)?,?\\s*)?(?:de(?:l)? )?$`,
      'iu',
    ),
    -4,
    'part of a date',
  ],
  [
    /(?:^|\s)(?:in|since|from|until|of|by|year|od|do|roku|seit|ab|im jahr|depuis|en|desde|hasta|a\u00f1o|ann\u00e9e)\s+$/iu,
    -1.5,
    'a year or amount',
  ],
  [
    /(?:str\.|stra\u00dfe|str|ul\.|al\.|ave|avenue|street|road|suite|floor|rue|calle|platz|weg|postfach|p\.?o\.? box|apt\.?|block|box)\s*(?:\d+[,\s]+)?$/iu,
    -5,
    'part of an address',
  ],
  [/(?:version|ver\.?|build|release|v|windows|android|ios|firmware|chrome|firefox)\s*$/iu, -4, 'a version'],
  [/[+(]\s?\d[\d ()-]*$|\d[ ()-]{1,2}$/u, -5, 'part of a longer number'],
  [
    /(?:iso|rfc|din|error|http|fehler|erreur|b\u0142\u0105d|level|page|seite|strona|chapter|section|channel|bus|train|zug)\s*$/iu,
    -4,
    'a name of something else',
  ],
];

const afterSigns: [RegExp, number, string][] = [
  [
    /^\s*(?:€|\$|£|¥|円|元|z\u0142|pln\b|eur\b|usd\b|gbp\b|chf\b|yen\b|euros?\b|dollars?\b|z\u0142otych|pesos|mxn\b)/iu,
    -6,
    'a price',
  ],
  [
    /^\s*(?:%|percent|points?\b|punkt\w*|puntos|miles\b|ポイント|积分|px\b|km\b|kg\b|mb\b|gb\b|steps\b|users?\b|people|customers|items?\b|followers|views|名|人|件|个|歩)/iu,
    -5,
    'an amount',
  ],
  [
    /^\s*(?:min(?:ut\w*)?|minutes?|hours?|std|stunden?|godzin\w*|sekund\w*|seconds?|segundos|horas|heures|days?|dni|tage|jours|d\u00edas|分|秒|時間|小时|分钟|分鐘|天)(?!\p{L})/iu,
    -6,
    'a time',
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

/** What stands right beside the token. */
export function contextScore(
  text: string,
  at: number,
  end: number,
  code: string,
): { points: number; why: string }[] {
  const before = text.slice(Math.max(0, at - 60), at).replace(/^[^]*\n/, '');
  const after = text.slice(end, end + 30).split('\n')[0] ?? '';
  const found: { points: number; why: string }[] = [];
  for (const [sign, points, why] of beforeSigns) if (sign.test(before)) found.push({ points, why });
  for (const [sign, points, why] of afterSigns) if (sign.test(after)) found.push({ points, why });
  if (/^(?:19|20)\d\d$/.test(code) && !/[:：]\s*$/.test(before))
    found.push({ points: -3, why: 'looks like a year' });
  if (/^(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])$/.test(code))
    found.push({ points: -4, why: 'looks like a date' });
  // 80331 München, 75001 Paris: five digits before a capitalized word.
  if (/^\d{5}$/.test(code) && /^,? \p{Lu}\p{Ll}{2,}/u.test(after) && !/[:：]\s*$/.test(before)) {
    found.push({ points: -4, why: 'looks like a postal code' });
  }
  if (/[:：]\s*$|(?:\bis|\bto|\blautet|\best|\bes|は|为|為|是)\s*[:：「【"“*]*\s*$/iu.test(before)) {
    found.push({ points: 1, why: 'said outright' });
  }
  return found;
}
