/** How an editor starts the tools. */
export interface Launch {
  command: string;
  args: string[];
  env: Record<string, string>;
}

interface Editor {
  /** As its users call it. */
  title: string;
  /** Where the snippet goes. */
  where: string;
  write: (launch: Launch) => string;
}

const json = (value: object) => JSON.stringify(value, null, 2);
/** No `env` where it would be empty. */
const withEnv = (key: string, { env }: Launch) => (Object.keys(env).length > 0 ? { [key]: env } : {});
const plain = (launch: Launch) => {
  return { command: launch.command, args: launch.args, ...withEnv('env', launch) };
};
/** The form that most clients share. */
const shared = (launch: Launch) => json({ mcpServers: { kuznia: plain(launch) } });
/** JSON's texts and lists are YAML's too (YAML 1.2.2, section 1.3). */
const yaml = (lines: [string, unknown][], indent: string) =>
  lines.map(([key, value]) => `${indent}${key}: ${JSON.stringify(value)}`).join('\n');

/** Each known editor's own form, as its documentation has it. */
export const editors = {
  vscode: {
    title: 'VS Code',
    // https://code.visualstudio.com/docs/copilot/reference/mcp-configuration
    where: '.vscode/mcp.json, or the file that "MCP: Open User Configuration" opens',
    write: (launch) => json({ servers: { kuznia: { type: 'stdio', ...plain(launch) } } }),
  },
  cursor: {
    title: 'Cursor',
    // https://docs.cursor.com/context/model-context-protocol
    where: '~/.cursor/mcp.json, or .cursor/mcp.json in a project',
    write: shared,
  },
  'claude-desktop': {
    title: 'Claude Desktop',
    // https://modelcontextprotocol.io/quickstart/user
    where: 'claude_desktop_config.json (Settings, Developer, Edit Config)',
    write: shared,
  },
  'claude-code': {
    title: 'Claude Code',
    // https://code.claude.com/docs/en/mcp: options stand before the name, the command behind `--`.
    where: 'a terminal',
    write: ({ command, args, env }) => {
      const variables = Object.entries(env).map(([name, value]) => `--env ${quoted(`${name}=${value}`)} `);
      const words = [command, ...args].map(quoted).join(' ');
      return `claude mcp add --scope user ${variables.join('')}--transport stdio kuznia -- ${words}`;
    },
  },
  zed: {
    title: 'Zed',
    // https://zed.dev/docs/ai/mcp
    where: 'settings.json ("zed: open settings")',
    write: (launch) => json({ context_servers: { kuznia: plain(launch) } }),
  },
  jetbrains: {
    title: 'JetBrains AI Assistant',
    // https://www.jetbrains.com/help/ai-assistant/configure-an-mcp-server.html
    where: 'Settings, Tools, AI Assistant, Model Context Protocol (MCP), Add, as JSON',
    write: shared,
  },
  continue: {
    title: 'Continue',
    // https://docs.continue.dev/customize/deep-dives/mcp
    where: '.continue/mcpServers/kuznia.yaml',
    write: (launch) => {
      const head = yaml(
        [
          ['name', 'Kuznia'],
          ['version', '0.0.1'],
          ['schema', 'v1'],
        ],
        '',
      );
      const body = yaml(Object.entries(plain(launch)), '    ');
      return `${head}\nmcpServers:\n  - name: "kuznia"\n${body}`;
    },
  },
  cline: {
    title: 'Cline',
    // https://docs.cline.bot/mcp/configuring-mcp-servers
    where: 'cline_mcp_settings.json (MCP Servers, Configure)',
    write: (launch) => {
      return json({ mcpServers: { kuznia: { ...plain(launch), disabled: false, alwaysAllow: [] } } });
    },
  },
  opencode: {
    title: 'opencode',
    // https://opencode.ai/docs/mcp-servers: the command and its arguments are one list.
    where: 'opencode.json, or ~/.config/opencode/opencode.json',
    write: (launch) => {
      const command = [launch.command, ...launch.args];
      const server = { type: 'local', command, enabled: true, ...withEnv('environment', launch) };
      return json({ $schema: 'https://opencode.ai/config.json', mcp: { kuznia: server } });
    },
  },
  goose: {
    title: 'goose',
    // https://block.github.io/goose/docs/getting-started/using-extensions
    where: '~/.config/goose/config.yaml, under extensions',
    write: (launch) => {
      const lines: [string, unknown][] = [
        ['name', 'kuznia'],
        ['type', 'stdio'],
        ['cmd', launch.command],
        ['args', launch.args],
        ['envs', launch.env],
        ['enabled', true],
        ['timeout', 300],
      ];
      return `extensions:\n  kuznia:\n${yaml(lines, '    ')}`;
    },
  },
} satisfies Record<string, Editor>;

/** A word of a POSIX shell's command line. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}

/** Where this is installed as a package `npx` finds it; a checkout is started by its path. */
export function launchOf(
  here: { file: string; node: string; platform: string },
  home: string | undefined,
): Launch {
  const env: Record<string, string> = home === undefined ? {} : { KUZNIA_HOME: home };
  if (/[\\/]node_modules[\\/]kuznia[\\/]/.test(here.file)) {
    // npx is a script there, which only a shell can start.
    if (here.platform === 'win32') {
      return { command: 'cmd', args: ['/c', 'npx', '-y', 'kuznia', 'serve'], env };
    }
    return { command: 'npx', args: ['-y', 'kuznia', 'serve'], env };
  }
  // What was built starts without a loader.
  const built = here.file.replace(/([\\/])host([\\/])main\.ts$/, '$1dist$1host$2main.js');
  return { command: here.node, args: [built, 'serve'], env };
}
