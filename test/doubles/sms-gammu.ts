import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { real, until } from '../support.ts';

/** A real gammu-smsd with its dummy modem (docs.gammu.org/testing/dummy-driver.html) and files service. */
export async function gammu(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'kz-sms-'));
  const path = (name: string) => join(folder, name);
  for (const name of ['inbox', 'outbox', 'sent', 'error']) mkdirSync(path(name));
  for (let number = 1; number <= 5; number++)
    mkdirSync(join(folder, 'modem', 'sms', String(number)), { recursive: true });
  for (const name of [
    'note',
    'todo',
    'calendar',
    'alarm',
    'pbk/ME',
    'pbk/SM',
    'pbk/DC',
    'pbk/MC',
    'pbk/RC',
    'fs',
  ]) {
    mkdirSync(join(folder, 'modem', name), { recursive: true });
  }
  const paths = `inboxpath = ${path('inbox')}/\noutboxpath = ${path('outbox')}/\nsentsmspath = ${path('sent')}/\nerrorsmspath = ${path('error')}/\n`;
  writeFileSync(
    path('rc'),
    `[gammu]\nmodel = dummy\nconnection = none\nport = ${path('modem')}\ndevice = ${path('modem')}\ngammuloc = /dev/null\n\n[smsd]\nservice = files\nlogfile = ${path('log')}\ndebuglevel = 255\ncommtimeout = 1\nsendtimeout = 1\nreceivefrequency = 0\nloopsleep = 1\ninboxformat = unicode\n${paths}`,
  );
  const child = spawn(real('KUZNIA_GAMMU_SMSD'), ['-c', path('rc')], { stdio: 'ignore' });
  const gone = once(child, 'exit');
  const log = () => {
    try {
      return readFileSync(path('log'), 'utf8');
    } catch {
      return '';
    }
  };
  t.after(async () => {
    child.kill('SIGKILL');
    await gone;
    rmSync(folder, { recursive: true, force: true });
  });
  await until('gammu-smsd runs', () => /Connecting to phone|Starting phone communication/.test(log()), 8_000);
  let serial = 0;
  return {
    inbox: path('inbox'),
    log,
    /** The modem receives it, in the format of its memory (a backup file). */
    arrive(from: string, text: string) {
      const hex = Buffer.from(text, 'utf16le').swap16().toString('hex').toUpperCase();
      const stamp = new Date().toISOString().replace(/[-:]|\..*/g, '');
      writeFileSync(
        join(folder, 'modem', 'sms', '1', String(++serial)),
        `[SMSBackup000]\nSMSC = "+48501200777"\nClass = -1\nDateTime = ${stamp}\nNumber = "${from}"\nState = UnRead\nCoding = Unicode_No_Compression\nFolder = 1\nLength = ${text.length}\nText00 = ${hex}\n`,
      );
    },
  };
}
