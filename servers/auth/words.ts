/**
 * Words of messages that bring codes, in the languages that mails and SMS come in. All are compared with text in which
 * Latin letters have lost their accents, as they have in many an SMS.
 */

const STRONG = [
  // English
  '(?:verification|security|confirmation|authenticat(?:ion|or)|authori[sz]ation|access|activation|log-?[io]n|sign-?in|validation|reset|recovery|one[- ]?time|single[- ]use|2fa|mfa|two[- ](?:factor|step)(?: verification| authentication)?|temporary|device|sign-?up|registration|magic|pairing|linking|approval|identification|steam guard|sms)[- ](?:pass)?(?:code|pin|token)|verification number|(?:one[- ]?time|temporary|single[- ]use) (?:password|word|key)|passcode|otp|(?:your|the|this|following|enter|a)(?: \\S+){0,3} code|code(?: \\S+){0,3} is|use code|use \\S{4,12} (?:as|to)|pin(?: code)? is|code to|(?:enter|type|copy|use|input)(?: \\S+){0,3} (?:number|digits|characters|pin|key)|(?:number|digits|characters) below',
  // Polish
  'kod(?:em|u|y)? (?:weryfik\\w+|autoryz\\w+|dostepu|bezpieczenstwa|jednoraz\\w+|potwierdz\\w+|logowania|sms|aktywac\\w+|uwierzyteln\\w+|pin|zabezpiecz\\w+|parowania|rejestrac\\w+|tymczasow\\w+|do (?:logowania|zalogowania|weryfikacji|potwierdzenia|autoryzacji))|haslo (?:jednoraz\\w+|sms|tymczasowe|do)|jednoraz\\w+ (?:kod|haslo|pin)|smskod|(?:twoj|oto|nastepujac\\w+|ponizsz\\w+|ten|tego)(?: \\S+){0,2} kod(?:u|em)?|kod(?: \\S+){0,3} to|(?:podaj|wpisz|uzyj|wprowadz|przepisz)(?: \\S+){0,3} (?:kod\\w*|numer|cyfr\\w|liczbe|znaki)',
  // German
  '(?:bestaa?e?tigungs|sicherheits|verifizierungs|verifikations|einmal|zugangs|zugriffs|anmelde|login|authentifizierungs|autorisierungs|pru?e?f|freischalt|freigabe|kopplungs|paarungs|sms-?|aktivierungs|registrierungs|gerate|transaktions|2fa-?)-?(?:code|pin|schlussel|nummer)|einmal-?(?:passwort|kennwort|pin)|(?:sms-?|m|mobile ?|push|photo|chip)?tan|(?:ihr|dein|der|den|diesen|folgenden|diesem)(?: \\S+){0,2} code|code(?: \\S+){0,3} (?:lautet|ist)|code dazu|(?:tragen|geben|tippen|gib|tipp)(?: \\S+){0,4} (?:zahl|nummer|ziffern|zeichen)|(?:folgende|diese)[nrs]? (?:nummer|zahl|ziffern|zeichen)',
  // French
  'code (?:de (?:verification|securite|confirmation|connexion|validation|reinitialisation)|d.(?:acces|authentification|activation|identification|autorisation|appairage|association)|a usage unique|secret|temporaire|unique|sms|confidentiel|pin|suivant|ci-dessous|pour)|mot de passe (?:a usage |temporaire)?(?:unique)?|(?:votre|ton|le|ce|un)(?: \\S+){0,2} code|code(?: \\S+){0,3} est|(?:saisi\\w+|entre[rz]|tape[rz]|recopie[rz])(?: \\S+){0,3} (?:numero|nombre|chiffres|caracteres)',
  // Spanish
  'codigo (?:de (?:verificacion|seguridad|confirmacion|acceso|inicio|autenticacion|autorizacion|un solo uso|activacion|validacion|firma|recuperacion|identificacion|emparejamiento|vinculacion|registro)|temporal|unico|otp|sms|para|siguiente)|(?:tu|su|el|este|siguiente|un)(?: \\S+){0,2} codigo|clave (?:de (?:acceso|seguridad|firma|un solo uso|verificacion|confirmacion)|dinamica|temporal|unica|sms|otp|para)|(?:tu|su) (?:clave|pin)|contrasena (?:de un solo uso|temporal|unica)|codigo(?: \\S+){0,3} es|(?:introdu[cz]\\w+|escrib\\w+|ingres\\w+|tecle\\w+|digit\\w+)(?: \\S+){0,3} (?:numero|digitos|cifras|caracteres)',
  // Japanese, Chinese
  '(?:認証|確認|検証|照合|承認|本人確認|ログイン|セキュリティ|アクセス|有効化|アクティベーション|二段階認証|ペアリング|連携|登録用|2段階認証) ?(?:コード|番号|キー|用コード|PIN)|ワンタイム ?(?:パスワード|コード|パスコード|キー)|パスコード|暗証番号|(?:次|以下|下記)の(?:番号|数字|コード|文字)|コードは|代[码碼][为為是]|(?:验证|驗證|校验|校驗|确认|確認|认证|認證|安全|登录|登錄|登入|激活|动态|動態|授权|授權|识别|配对|配對|绑定|綁定|支付|注册|註冊|一次性)(?:密)?(?:码|碼|代码|代碼|口令)|(?:动态|動態|一次性|临时|臨時)(?:密码|密碼)|短信(?:口令|密码|码)|(?:以下|下列|下方)(?:的)?(?:数字|數字|代码|代碼|号码|字符)|(?:输入|輸入|填写|填寫)[^。\\n]{0,8}(?:数字|數字|代码|代碼)',
].join('|');

const WEAK =
  'code|codes|pin|otp|passwort|kennwort|password|kod|kodu|kodem|kody|haslo|codigos?|clave|cle|コード|パスワード|(?<!\\p{Script=Han})番号|(?<!\\p{Script=Han})(?:代码|密码|碼|口令)|verify|verification|weryfik\\w+|autori[sz]\\w+|authori[sz]ation|autoryz\\w+|uwierzyteln\\w+|besta?e?tig\\w+|verifi\\w+|验证|驗證|認証|tan|token';

// "Code" in another sense: what follows is none of ours.
const OTHER_CODE = new RegExp(
  [
    '(?:discount|promo(?:tion(?:al)?)?|coupon|voucher|referral|invit(?:e|ation)|gift(?: ?card)?|offer|zip|postal|post|area|country|dress|source|error|status|tracking|bar|qr|booking|reservation|product|item|student|sort|swift|bic|vat|tax|building|gate|door|entry|class|course|colou?r|morse|exit|return|response|pick[- ]?up|collection|locker|parcel|delivery|member(?:ship)?|customer|client|supplier|vendor|merchant|store|shop|branch|department|project|cost|employee|licen[cs]e|redemption|redeem|reward|appointment|visit|prescription|bonus|loyalty|dial(?:l?ing)?|order|invoice|ticket|airport|currency|language|hs|icd|cpt|billing|reason|event|station|party|meeting|conference)[- ]?(?:codes?|pins?)\\b',
    'code (?:review|base|of conduct|freeze|coverage|quality|snippet|owners?|changes?|signing|red|blue|orange)',
    'code (?:promo\\w*|postal|barres?|article|client|produit|avantage|parrain\\w*|cadeau|fidelite|immeuble|pays|agence|banque|guichet|source|ape|naf|(?:de (?:la )?|d.|du )(?:reduction|retrait|commande|suivi|reservation|parrainage|porte|immeuble|erreur|portail|colis|livraison|billet|entree|remise|bon|facturation))',
    'codigo (?:promocional|postal|fuente|(?:de(?:l)? (?:la )?)?(?:descuento|barras|reserva|pedido|producto|seguimiento|referido|cliente|socio|recogida|entrega|entrada|billete|vuelo|envio|error|regalo|pais|empleado|articulo|portal|puerta|localizador|cupon|invitacion|paquete|tienda))',
    'kod(?:em|u|y)? (?:rabatow\\w+|promocyjn\\w+|pocztow\\w+|kreskow\\w+|qr|paczki|odbioru|nadania|dostawy|doreczenia|biletu|wejscia|wizyty|recepty|skierowania|bledu|produktu|polecaj\\w+|klienta|kontrahenta|towaru|pracownika|kraju|swift|bic|zrodlow\\w+|rezerwacji|do (?:bramy|domofonu|drzwi|klatki|furtki)|kuponu|vouchera|zaproszeni\\w+|zamowienia)',
    '(?:gutschein|rabatt|aktions|vorteils|fehler|bar|qr-|bestell|artikel|produkt|buchungs|werbe|abhol|sendungs|kunden|mitglieds|tu?e?r|quell|farb|landes|freunde|empfehlungs|einladungs|geschenk|reservierungs|status|bonus|zahl|lager|versand|ticket-?|termin|rezept|zustell|liefer|paket)-?(?:codes?|pins?)',
    '(?:クーポン|割引|招待|紹介|プロモーション|プロモ|予約|商品|エラー|QR|バー|管理|ギフト|キャンペーン|郵便|国|店舗|会員|社員|お客様|ソース|受取|配達|宅配|チケット|搭乗|特典|入館|入室|入場|ドア|玄関|解錠|解約)コード',
    '(?:注文|予約|会員|電話|問い?合わ?せ|追跡|伝票|受付|お客様|管理|整理|口座|製造|請求書?|領収書?|郵便|部屋|座席|申込み?|契約|社員|学籍|照会|登録|証券|配送|荷物|便名?|店)番号',
    '(?:優惠|优惠|折扣|邀请|邀請|兑换|兌換|推荐|推薦|错误|錯誤|取件|取货|取貨|提货|提貨|收货|收貨|提取|开箱|開箱|检票|促销|促銷|二维|二維|條|条|条形|邮政|郵政|核销|核銷|会员|會員|源|商品|预约|預約|门禁|門禁|入场|取餐)(?:碼|码|代码|代碼|密码|密碼)|邮政编码|郵遞區號|(?:订单|訂單|运单|運單|单|單|手机|手機|会议|會議|工单|工單)(?:编?号|編?號)',
  ].join('|'),
  'giu',
);

/** What is said of a code that is good for a while, or of signing in: such a message may bring one. */
const SIGNING_IN = [
  /log(?:ging)?[- ]?(?:in|on)\b|sign(?:ing)?[- ]?(?:in|on|up)\b|verif|authenticat|two-(?:factor|step)|\b[2m]fa\b|one[- ]time|single[- ]use|identity|\bexpires?\b|valid (?:for|until)|good for|works once|do(?: not|n.t) (?:share|tell|give)|never (?:share|tell|give)|did(?: not|n.t) (?:request|ask|try|attempt)|new (?:device|computer|browser)|not you\b|reset (?:your|the) password|confirm (?:it|your|that|this)|approve|(?:to|add) (?:a )?payee/giu,
  /logowa|zalogow|weryfik|uwierzyteln|jednoraz|autoryz|potwierd|wazn[yae]\b|wygas|nie (?:podawaj|udostepniaj|przekazuj|ujawniaj)|nowego urzadzenia|rejestrac|przelew|odbiorc|zlecen|nie ty\b/giu,
  /anmeld|einlogg|besta?e?tig|verifiz|einmal|gu?e?ltig|lauft ab|nicht (?:weiter|mit)|niemand|neue[mns]? gerat|zuru?e?cksetz|u?e?berweisung|empfa?e?nger|freigabe|nicht sie\b|warst du/giu,
  /connect(?:er|ez|ion)|connexion|verifi|valid(?:er|ez|ation)|authentif|usage unique|expire|valable|ne (?:le |la )?(?:communiqu|partag|divulg|transmet)|confirm(?:er|ez)\b|identifi|virement|beneficiaire|nouvel appareil|pas vous\b/giu,
  /inici(?:ar|o de)|acced|acceso|\bentrar\b|verific|autentic|caduca|vence|no (?:lo |la )?(?:compart|revel|facilit)|confirm(?:ar|a|e)\b|identidad|solo uso|transferencia|beneficiari|firmar|no fuiste|recono[cz]/giu,
  /ログイン|認証|本人|有効|教えない|共有しない|ワンタイム|入力|振込|パスワード(?:の)?(?:再設定|リセット)|サインイン/gu,
  /登录|登錄|登入|验证|驗證|有效|泄露|洩露|洩漏|转发|轉發|告知|本人操作|注册|註冊|输入|輸入|填写|填寫|转账|轉帳|支付/gu,
];

/** What is said of goods, bills and visits: the codes of such messages are other ones. */
const BUSINESS = [
  /\b(?:your|an|this) orders?\b|\border(?:ed|s| (?:number|no|id)|[ #:]+[A-Z]*\d)|invoice|receipt|amount paid|shipp(?:ed|ing)|parcel|package|deliver(?:y|ed|s)\b|collect\b|pick(?:ed)?[- ]?up|appointment|reservation|booking|discount|coupon|voucher|\bpoints\b|newsletter|statement|meeting|agenda|\breport\b|tracking|commit\b|pipeline|pull request|merge request|\bPR #|flight|check[- ]in|boarding|\bseat\b|gift card|redeem|warranty|repair|ticket (?:number|no)/giu,
  /zamowieni|faktur|paragon|przesylk|paczk|paczkomat|dostaw|odbi(?:or(?!c)|er)|wizyt|rezerwac|rabat|promocj|kupon|punkt(?:ow|y)\b|spotkani|zakup|naprawa|gwarancj/giu,
  /bestellung|bestellnummer|rechnung|quittung|paket|liefer|abhol|sendung|termin\b|buchung|rabatt|gutschein|punkte|reparatur|garantie|treffen/giu,
  /commande|facture|recu\b|colis|livraison|retrait|rendez-vous|reservation|reduction|promo|points\b|reparation|garantie|reunion/giu,
  /pedido|factura|recibo\b|paquete|envio|entrega|recog|cita\b|reserva|descuento|promo|puntos|reparacion|garantia|reunion|socio/giu,
  /注文|請求|領収|荷物|配送|配達|発送|宅配|届[きけい]|受取|ロッカー|伝票|不在|予約|割引|クーポン|ポイント|修理|会議/gu,
  /订单|訂單|发票|發票|快递|快遞|快件|包裹|柜|櫃|领取|領取|签收|簽收|发货|發貨|取件|预约|預約|优惠|優惠|积分|積分|维修|維修|会议|會議|驿站|驛站/gu,
];

// Words of Chinese and Japanese stand next to each other; others begin where no letter is before them.
const strong = new RegExp(`(?<![A-Za-z])(?:${STRONG})(?![A-Za-z])`, 'giu');
const weak = new RegExp(`(?<![A-Za-z])(?:${WEAK})(?![A-Za-z])`, 'giu');
const asked =
  /^ ?(?:to|in order to) (?:confirm|verify|sign|log|complete|finish|continue|approve|authori[sz]e)|^,? ?(?:aby|zeby) (?:potwierdzic|zalogowac|dokonczyc|zatwierdzic|kontynuowac)|^ ?(?:ein|ein,) um .{0,30}(?:anzumelden|bestatigen)|^ ?pour (?:confirmer|valider|vous connecter|terminer|continuer)|^ ?para (?:confirmar|verificar|iniciar|completar|entrar|continuar)/iu;
/** A verb that asks to type what follows it, or (Chinese, Japanese) what stands before it. */
const typed =
  /(?:^|[^a-z])(?:enter|type|copy|use|input|key in|paste|submit|wpisz|podaj|przepisz|wprowadz|uzyj|gib|geben sie|tippen sie|verwende(?:n sie)?|nutze(?:n sie)?|saisissez|saisis|entrez|entre|tapez|utilisez|indiquez|recopiez|introduce|introduzca|escribe|escriba|ingresa|ingrese|usa|use|utiliza|utilice|teclea|digita|digite)(?: in|[^.!?\n]{1,40}[:：])? ["'*]*$|(?:输入|輸入|填写|填寫|请用) ?[「“"]?$/iu;
const typedAfter =
  /^ (?:eingeben|eintippen|eintragen|ingresar)\b|^ ?[-:,] ?(?:please )?(?:enter|type|use|wpisz|podaj|bitte|saisissez|entrez|introdu[cz]|ingres)|^ ?[」”"]? ?を[^。\n]{0,16}入力/iu;
/** `482913 is your … code`, in the ways that languages say it. */
const named = /^["'*」”]? ?(?:is|ist|est|es|to|jest|as|als|como|comme|は|が|是|为|為)(?![a-z])/iu;

/** How far a word reaches, in characters, before and after the token; further where the number is said outright. */
const REACH = 90;
const REACH_OUTRIGHT = 170;
const REACH_AFTER = 60;
const outright = /(?:[:：]|(?<![a-z])(?:is|lautet|ist|est|es|to)|は|为|為|是) ?["'*「“]*$/iu;

/** What a message is about: how often it speaks of signing in, and of goods and bills. */
export interface Subject {
  codes: boolean;
  signingIn: number;
  business: number;
}

/** An invitation: its passcode opens a meeting. */
const MEETING =
  /(?:meeting|webinar|konferenz|conference)[- ]?id\b|\bid (?:de (?:la )?)?reunion|identyfikator spotkania|ミーティング ?id|会议号|會議號|会议 ?id/iu;

export function subjectOf(text: string): Subject {
  const count = (patterns: RegExp[]) =>
    patterns.reduce((most, pattern) => Math.max(most, new Set(text.match(pattern)).size), 0);
  const meeting = MEETING.test(text);
  return {
    codes: masked(text).search(strong) >= 0,
    signingIn: meeting ? 0 : count(SIGNING_IN),
    business: count(BUSINESS) + (meeting ? 1 : 0),
  };
}

/** The nearest word for a code around the token. */
export function wordScore(
  text: string,
  at: number,
  end: number,
  about: Subject,
): { points: number; why: string } {
  // Codes of another kind are put out of sight, in place: their `code` is none of ours.
  const said = outright.test(text.slice(Math.max(0, at - 12), at));
  const whole = masked(text.slice(Math.max(0, at - REACH_OUTRIGHT), at));
  const sameLine = whole.slice(whole.lastIndexOf('\n') + 1);
  const before = said && sameLine.length > REACH ? sameLine : whole.slice(-REACH);
  const after = masked(text.slice(end, end + REACH_AFTER));
  const other = before.lastIndexOf(MASK);
  const near = last(before, strong);
  if (near >= 0 && near > other) {
    const distance = before.length - near;
    return {
      points: (distance <= 45 || said ? 5 : 4) - apart(before.slice(near), said),
      why: 'behind words for a code',
    };
  }
  if (other >= 0 && before.length - other < 60) return { points: -4, why: 'a code of another kind' };
  const close = last(before, weak);
  if (close > other && before.length - close <= 40)
    return { points: 3.5 - apart(before.slice(close), said), why: 'behind a word for a code' };
  const sentence = after.split(/[.!?。\n]/)[0] ?? '';
  if (asked.test(sentence)) return { points: 4, why: 'to be entered' };
  if (about.business <= about.signingIn && (typed.test(before) || typedAfter.test(after)))
    return { points: about.signingIn > 0 ? 4 : 3, why: 'to be entered' };
  const next = sentence.search(strong);
  const some = sentence.search(weak);
  if (named.test(sentence) && (next >= 0 || (some >= 0 && some <= 30)) && !sentence.includes(MASK))
    return { points: 5, why: 'named as a code' };
  if (next >= 0) return { points: 4 - apart(sentence.slice(0, next), false), why: 'before words for a code' };
  if (some >= 0 && some <= 30)
    return { points: 3 - apart(sentence.slice(0, some), false), why: 'before a word for a code' };
  if (about.codes) return { points: 2, why: 'in a message about a code' };
  return about.signingIn > 1 ? { points: 1.5, why: 'in a message about signing in' } : { points: 0, why: '' };
}

const MASK = '\u0001';
const masked = (text: string) => text.replace(OTHER_CODE, (found) => MASK.repeat(found.length));

/** The text with its words for a code put out of sight, in place: the number of a `verification number` is no other one. */
export const withoutWords = (text: string) => text.replace(strong, (found) => MASK.repeat(found.length));

/** Whether a text without its words for a code (as above) had one, or has a weaker one. */
export const namesCode = (text: string) => text.includes(MASK) || text.search(weak) >= 0;

/** What stands between a word and its number, when it is not that number's word any more. */
function apart(between: string, said: boolean): number {
  const sentence = /[.!?] (?=\p{Lu})|。/u.test(between) ? 1 : 0;
  return sentence + (/\d{4}/.test(between) && (!said || sentence > 0) ? 2.5 : 0);
}

/** Where the last match begins; -1 for none. */
function last(text: string, pattern: RegExp): number {
  let at = -1;
  for (const match of text.matchAll(pattern)) at = match.index;
  return at;
}
