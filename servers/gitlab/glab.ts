import { accessSync, constants } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { delimiter, isAbsolute, join } from 'node:path';
import { z } from 'zod';
import { command, CommandError } from '../../kit/command.ts';
import { toolFor, ToolError } from '../../kit/tool.ts';
import { project, record } from './fields.ts';
import { atProject, type GitLab } from './gitlab.ts';
import { runFolder } from './run-folder.ts';
import { cut, plainText } from './text.ts';

const tool = toolFor<GitLab>();

/** What glab may do here: it reads, and it has what the API tools do not show. */
const ALLOWED = [
  'release list',
  'release view',
  'label list',
  'schedule list',
  'milestone list',
  'incident list',
  'incident view',
  'iteration list',
  'repo contributors',
  'deploy-key list',
] as const;

/** Flags that narrow what is read. Others could write a file, open a browser, leave the project or send the token elsewhere. */
const flags =
  /^--(all|assignee|author|closed|from|label|labels|milestone|order|page|per-page|search|sort|state|to|version)(=|$)/;

export const glab = [
  tool({
    name: 'gitlab_glab',
    title: 'glab',
    description: 'Runs a reading glab command.',
    effect: 'read',
    openWorld: true,
    untrusted: true,
    examples: ['list the releases', 'which pipeline schedules are there'],
    input: z.object({ project, command: z.enum(ALLOWED), args: z.array(z.string()).max(20).optional() }),
    output: record,
    async run({ project, command: chosen, args = [] }, gitlab, ctx) {
      for (const one of args) {
        if ((one.startsWith('-') && !flags.test(one)) || /[\0\n]|:\/\//.test(one))
          throw new ToolError(
            `The argument \`${one.slice(0, 40)}\` is not allowed. Leave it out, or write the long form (--page=2).`,
          );
      }
      const { api, project: path } = await atProject(gitlab, project, ctx);
      const { url, token, ca } = api.instance;
      const { host, protocol } = new URL(url);
      // glab keeps the login in a file: it lies there for this call only.
      const { folder, close } = await runFolder(gitlab.home, 'glab');
      const env = {
        GLAB_CONFIG_DIR: folder,
        HOME: folder,
        // With the address in --repo its port and protocol would be lost.
        GITLAB_HOST: host,
        // It asks git for a repository around its folder: there is none that counts.
        GIT_CEILING_DIRECTORIES: folder,
        ...(ca !== undefined && { SSL_CERT_FILE: join(folder, 'ca.pem') }),
        NO_COLOR: '1',
        // Its Markdown is coloured and padded all the same.
        GLAMOUR_STYLE: 'notty',
        NO_PROMPT: '1',
        GLAB_CHECK_UPDATE: 'false',
        GLAB_SEND_TELEMETRY: '0',
      };
      const options = {
        env,
        cwd: folder,
        deadlineMs: 40_000,
        signal: ctx.signal,
        journal: ctx.journal,
        maxOutputBytes: 1024 * 1024,
      };
      try {
        if (ca !== undefined) await writeFile(join(folder, 'ca.pem'), ca, { mode: 0o600 });
        const login = [
          'auth',
          'login',
          '--hostname',
          host,
          '--api-protocol',
          protocol.slice(0, -1),
          '--git-protocol',
          'https',
          '--stdin',
        ];
        await command('glab', login, { ...options, input: `${await token()}\n`, what: 'glab auth login' });
        const run = [...chosen.split(' '), ...args, '--repo', path];
        const { stdout } = await command('glab', run, { ...options, what: `glab ${chosen}` });
        return {
          text: cut(
            plainText(stdout)
              .replaceAll(/[ \t]+$/gm, '')
              .trim(),
            20_000,
          ),
        };
      } catch (error) {
        if (error instanceof CommandError && /unknown (command|flag)/.test(error.message))
          throw new ToolError(
            `The glab that is installed here does not know \`${chosen}\`, or not with these args. Use the gitlab_ tools instead, or a newer glab.`,
            { cause: error },
          );
        if (error instanceof CommandError)
          throw new ToolError(`${error.message} Use the gitlab_ tools instead, or correct args.`, {
            cause: error,
          });
        throw error;
      } finally {
        await close();
      }
    },
  }),
];

/** Whether glab is installed: its tool is listed only then. */
export function hasGlab(path = process.env['PATH'] ?? ''): boolean {
  const file = process.platform === 'win32' ? 'glab.exe' : 'glab';
  return path.split(delimiter).some((folder) => {
    if (!isAbsolute(folder)) return false;
    try {
      accessSync(join(folder, file), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
