import { accessSync, constants } from 'node:fs';
import { delimiter, isAbsolute, join } from 'node:path';

/** A program that some tools use. */
export interface ProgramState {
  name: string;
  /** Where it is; absent where it is not. */
  path?: string;
  use: string;
  get: string;
}

const PROGRAMS = [
  {
    name: 'git',
    use: 'forged tools and checkouts',
    get: 'Debian/Ubuntu `apt-get install git`, macOS `xcode-select --install`, or https://git-scm.com',
  },
  {
    name: 'glab',
    use: "GitLab's own command line, for what the GitLab server's tools do not show",
    get: 'macOS `brew install glab`, Windows `winget install glab.glab`, or https://gitlab.com/gitlab-org/cli#installation',
  },
  {
    name: 'docker',
    use: 'to run Kuźnia or a server in a container',
    get: 'https://docs.docker.com/get-started/get-docker/',
  },
];

/** Looked for in the absolute folders of PATH; nothing is started. */
export function programStates(
  env: Record<string, string | undefined>,
  platform = process.platform,
): ProgramState[] {
  const folders = (env['PATH'] ?? '').split(delimiter).filter(isAbsolute);
  return PROGRAMS.map((program) => {
    const file = platform === 'win32' ? `${program.name}.exe` : program.name;
    const path = folders.map((folder) => join(folder, file)).find(isProgram);
    return { ...program, ...(path !== undefined && { path }) };
  });
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
