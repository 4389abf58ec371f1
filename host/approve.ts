import { userInfo } from 'node:os';
import { kuzniaHome } from '../kit/config.ts';
import { review } from '../servers/sandbox/definition.ts';
import { decideCall, forgetTool, listApprovals } from './approvals/approve-call.ts';
import { painter } from './terminal/display.ts';
import { EXIT, parse, UsageError, type Command, type Io } from './terminal/io.ts';
import { Prompt } from './terminal/prompt.ts';
import { clean } from './terminal/text.ts';

const help = `
kuznia approve: decide on a call that another agent wants to make, or on a version of a forged tool (its code, tests,
grants, gates and the difference to the version in use are shown).

Usage: kuznia approve                 what waits for a decision, and what is allowed for good
       kuznia approve ID              one of those calls
       kuznia approve NAME VERSION    a forged tool
       kuznia approve --forget TOOL   ask about it again

  --yes     approve without asking
  --refuse  refuse it
  --json    one JSON object; a decision needs --yes or --refuse then

Example: kuznia approve slugify 1.0.1
`;

export const command: Command = {
  help,
  async run(argv, io) {
    const { values, positionals } = parse(argv, {
      yes: { type: 'boolean', default: false },
      refuse: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      forget: { type: 'string' },
    });
    const home = kuzniaHome(io.env);
    if (values.yes && values.refuse)
      throw new UsageError('--yes and --refuse exclude each other: give one of them.');
    if (values.forget !== undefined) return forgetTool(home, values.forget, io);
    const [id, ...none] = positionals;
    if (id === undefined) return listApprovals(home, io, values);
    if (none.length === 0 && /^[0-9a-f]{8}$/.test(id)) return decideCall(home, id, io, values);
    const [name, version, ...more] = positionals;
    if (name === undefined || version === undefined || more.length > 0) {
      throw new UsageError('A name and a version are needed: kuznia approve slugify 1.0.1');
    }
    const which = { name: name.replace(/^forged_/, ''), version: version.replace(/^v/, '') };
    const found = await review(home, which.name, which.version);
    try {
      return await decide(found, { ...values, ...which, io });
    } finally {
      await found.close();
    }
  },
};

interface Decision {
  name: string;
  version: string;
  yes: boolean;
  refuse: boolean;
  json: boolean;
  io: Io;
}

type Review = Awaited<ReturnType<typeof review>>;

async function decide(found: Review, { name, version, yes, refuse, json, io }: Decision): Promise<number> {
  const { out, err } = io;
  if (!json) out(`${clean(found.text)}\n\n`);
  let decision = yes ? 'approve' : refuse ? 'refuse' : undefined;
  if (!decision && io.interactive && !json) {
    const prompt = new Prompt(process.stdin, process.stdout);
    const answer = await prompt.confirm(
      `${painter(io).bold(`Approve ${name} ${version}?`)} [y]es, [r]efuse, [N]othing: `,
    );
    prompt.close();
    decision = answer === 'yes' ? 'approve' : answer === 'refuse' ? 'refuse' : undefined;
  }
  if (!decision) {
    if (json) out(`${JSON.stringify({ name, version, status: found.status, decision: 'none' })}\n`);
    err(`Nothing was decided. Without a terminal: kuznia approve ${name} ${version} --yes, or --refuse.\n`);
    return EXIT.approval;
  }
  const who = userInfo().username;
  if (decision === 'approve') await found.approve(who);
  else await found.refuse(who);
  const live = decision === 'refuse' && found.status === 'production';
  if (json) out(`${JSON.stringify({ name, version, decision, ...(live && { live }) })}\n`);
  else if (decision === 'approve') {
    out(
      `Approved. Make it live: kuznia call sandbox_publish_tool '{"name": "${name}", "version": "${version}"}'\n`,
    );
  } else if (live) {
    out(`Refused, but it stays live. Take it away: kuznia call sandbox_retire_tool '{"name": "${name}"}'\n`);
  } else out('Refused. It cannot be published; a mended version can.\n');
  return EXIT.done;
}
