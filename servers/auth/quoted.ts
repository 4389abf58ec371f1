/** What of a message its sender wrote now: a code in what is forwarded or quoted was made for another time. */

const FORWARDED =
  /^(?:-{2,} ?(?:original|forwarded|ursprüngliche|weitergeleitete|message (?:d'origine|transféré)|mensaje (?:original|reenviado)|wiadomość|przekazana|転送|元の|転載|转发|原始|轉寄|原郵件)[^\n]*|begin forwarded message:|_{20,}|(?:on|le|am|el|w dniu|dnia)\b[^\n]{5,120}(?:wrote|écrit|schrieb|escribió|pisze|napisał\(?a?\)?) ?:|在[^\n]{5,120}写道 ?[:：])\s*$/im;

const FROM = 'from|od|von|de|差出人|发件人|寄件者';
const SENT =
  'sent|date|wysłano|data|gesendet|datum|envoyé|enviado(?: el)?|fecha|送信日時|日付|日時|发送时间|日期|寄件日期';
const TO = 'to|cc|do|dw|an|à|para|宛先|收件人|抄送|收件者';
const SUBJECT = 'subject|temat|betreff|objet|asunto|件名|主题|主旨';
/**
 * Outlook and others forward and quote without any mark: below the old message's header, which ends with its subject. A
 * transfer that names who pays whom, and when, has none.
 */
const HEADER = new RegExp(
  `^[ *]*(?:${FROM})[ *]*[:：][^\n]*\n+(?:[^\n]{0,200}\n+){0,2}?[ *]*(?:${SENT}|${TO})[ *]*[:：][^\n]*\n+(?:[^\n]{0,400}\n+){0,4}?[ *]*(?:${SUBJECT})[ *]*[:：]`,
  'im',
);

/** The text without what was forwarded or quoted. */
export function ownText(text: string): string {
  const ends = [FORWARDED, HEADER].map((mark) => mark.exec(text)?.index ?? text.length);
  return text
    .slice(0, Math.min(...ends))
    .split('\n')
    .filter((line) => !line.startsWith('>'))
    .join('\n');
}

/** Whether a subject is an older one's: answered or passed on by a person. */
export const isAnswer = (subject: string) =>
  /^\s*(?:re|aw|antw|odp|rif|fwd?|fw|wg|tr|rv|pd|转发|转寄|轉寄|答复|回复|回覆|転送|返信)\s*[:：]/i.test(
    subject,
  );
