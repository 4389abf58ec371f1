import { readFileSync } from 'node:fs';
import { callFor } from '../../kit/call.ts';
import { ConfigError } from '../../kit/config.ts';
import { environmentSecrets, isSecretRef, registerSecret, resolveSecret } from '../../kit/secrets.ts';
import { ToolError, type Runtime, type ToolContext } from '../../kit/tool.ts';
import { z } from 'zod';
import { Api, type Instance } from './client.ts';
import type { GitLabConfig } from './config.ts';
import { sweepRun } from './run-folder.ts';
import { filePath, numberedTarget, projectTarget, refName, shown, type Target } from './targets.ts';

/** What the GitLab server's tools work with. */
export interface GitLab {
  config: GitLabConfig;
  home: string;
  instances: Instance[];
}

export async function openGitLab(config: GitLabConfig, runtime: Runtime): Promise<GitLab> {
  await sweepRun(runtime.home);
  const { url = '', token, projects, ca } = config;
  const first = { name: '', url, token, projects, ca };
  const instances = [first, ...config.instances].map((one) => instanceOf(one, config.read_only, runtime));
  return { config, home: runtime.home, instances };
}

export async function closeGitLab({ instances }: GitLab): Promise<void> {
  await Promise.allSettled(instances.map((one) => one.call.close()));
}

interface Settings {
  name: string;
  url: string;
  token?: string;
  projects?: string[];
  ca?: string;
}

function instanceOf(settings: Settings, readOnly: boolean, { env, home, journal }: Runtime): Instance {
  const { name } = settings;
  const url = settings.url.replace(/\/+$/, '');
  const tokenSetting = name ? `the token of instance ${name} in kuznia.json` : 'GITLAB_TOKEN';
  const token = async () => {
    const { token: given } = settings;
    if (given === undefined || given === '') {
      throw new ToolError(
        `No GitLab token is set. Make one (GitLab, Preferences, Access tokens; scope ${readOnly ? 'read_api' : 'api'}) and set ${tokenSetting} to it or to secret://gitlab-token.`,
      );
    }
    if (!isSecretRef(given)) registerSecret(given, { label: 'gitlab-token' });
    return isSecretRef(given) ? resolveGiven(given, env, home) : given;
  };
  const ca = settings.ca ? pem(settings.ca) : undefined;
  const call = callFor({
    name: 'GitLab',
    setting: name ? `the url of instance ${name} in kuznia.json` : 'GITLAB_URL',
    tokenSetting,
    ...(url && { baseUrl: url }),
    // Personal, group, project and OAuth tokens are all taken so (docs.gitlab.com/api/rest/authentication).
    headers: async () => ({ authorization: `Bearer ${await token()}` }),
    timeoutMs: 45_000,
    readOnly,
    journal,
    env,
    ca,
  });
  const allowed = settings.projects ?? [];
  return { name, url, tokenSetting, allowed, call, ca, env, token, paths: new Map() };
}

/** What this server was started with comes first; then the store, where a sign-in's token is kept fresh. */
async function resolveGiven(reference: string, env: Runtime['env'], home: string): Promise<string> {
  const { storeSecrets } = await import('../../kit/secret-source.ts');
  return resolveSecret(reference, [environmentSecrets(env), storeSecrets(home)]);
}

function pem(text: string): string {
  if (text.startsWith('-----BEGIN')) return text;
  try {
    return readFileSync(text, 'utf8');
  } catch {
    throw new ConfigError(`GITLAB_CA: ${text} cannot be read. Name a PEM file.`, 'GITLAB_CA');
  }
}

/** Where a call goes: its API, and the project as it stands in API paths. */
export interface Place {
  api: Api;
  /** Percent-encoded: `group%2Fproject` or a number. */
  id: string;
  /** As gitbeaker takes it: it encodes itself. */
  project: string;
  target: Target;
}

/** The GitLab that a target is on. Its token goes to no other host. */
export function instanceFor({ instances }: GitLab, { instance }: Target): Instance {
  const [first] = instances;
  if (!first) throw new ToolError('No GitLab is configured. Set GITLAB_URL and GITLAB_TOKEN.');
  const found =
    instance === undefined
      ? first
      : 'name' in instance
        ? instances.find((one) => one.name === instance.name)
        : instances.find((one) => within(one.url, instance.url));
  if (!found) {
    const said = instance === undefined || 'name' in instance ? (instance?.name ?? '') : instance.url.host;
    const known = instances.map((one) => one.name || one.url).join(', ');
    throw new ToolError(
      `${shown(said)} is no GitLab of this configuration (${known}): nothing is sent there. Give a project of one of these.`,
    );
  }
  if (!found.url)
    throw new ToolError(
      'No GitLab address is set. Set GITLAB_URL, for example GITLAB_URL=https://gitlab.com.',
    );
  return found;
}

const within = (base: string, url: URL) => URL.canParse(base) && new URL(base).origin === url.origin;

/** Checks that the project may be used, and makes the API for it. */
export async function placeFor(
  gitlab: GitLab,
  target: Target,
  ctx: Pick<ToolContext, 'signal' | 'journal'>,
): Promise<Place> {
  const instance = instanceFor(gitlab, target);
  const api = new Api(instance, ctx);
  const project = belowRoot(instance, target);
  await allow(api, project);
  return { api, project, id: encodeURIComponent(project), target };
}

function belowRoot(instance: Instance, { project, instance: from }: Target): string {
  if (project === undefined)
    throw new ToolError('Which project? Give `project` (group/project), or the whole web address.');
  if (from === undefined || 'name' in from) return project;
  // GitLab may lie below a path of its host.
  const folder = new URL(instance.url).pathname.replace(/^\/|\/$/g, '');
  return folder && project.startsWith(`${folder}/`) ? project.slice(folder.length + 1) : project;
}

/** The path of a project that may be named by its number. */
export async function pathOf(api: Api, project: string): Promise<string> {
  const { paths } = api.instance;
  const known = paths.get(project) ?? project;
  if (!/^\d+$/.test(known)) return known;
  const found = z.object({ path_with_namespace: z.string() }).parse(await api.get(`projects/${project}`));
  paths.set(project, found.path_with_namespace);
  return found.path_with_namespace;
}

/** Throws where the settings do not name the project (path or number). */
export async function allow(api: Api, project: string): Promise<void> {
  const { allowed } = api.instance;
  if (allowed.length === 0) return;
  const path = await pathOf(api, project);
  if (!isAllowed(allowed, path)) {
    throw new ToolError(
      `${shown(path)} is not among the projects that this server may use (${allowed.join(', ')}). A person can add it to GITLAB_PROJECTS.`,
    );
  }
}

export const isAllowed = (allowed: string[], path: string) =>
  allowed.length === 0 ||
  allowed.some((one) =>
    one.endsWith('/*')
      ? path.toLowerCase().startsWith(one.slice(0, -1).toLowerCase())
      : one.toLowerCase() === path.toLowerCase(),
  );

/** Keeps what lies in projects that may be used: for lists over many projects. */
export const usable =
  ({ instance: { allowed } }: Api) =>
  ({ project }: { project: string | undefined }) =>
    allowed.length === 0 || (project !== undefined && isAllowed(allowed, project));

type Ctx = Pick<ToolContext, 'signal' | 'journal'>;

/** A place as an argument would name it. */
export const named = ({ api: { instance }, project }: Place) =>
  instance.name ? `${instance.name}:${project}` : project;

/** The project that an argument names. */
export const atProject = (gitlab: GitLab, project: string, ctx: Ctx) =>
  placeFor(gitlab, projectTarget(project), ctx);

/** The issue, merge request, pipeline or job that an argument names, and its project. */
export async function atNumber(
  gitlab: GitLab,
  text: string,
  kind: string,
  project: string | undefined,
  ctx: Ctx,
) {
  const target = numberedTarget(text, kind, project);
  return { ...(await placeFor(gitlab, target, ctx)), iid: target.id };
}

/** A file or folder: `project` may be its web address, with ref and path in it. */
export async function atPath(
  gitlab: GitLab,
  { project, ref, path }: { project: string; ref?: string; path?: string },
  ctx: Ctx,
) {
  const place = await atProject(gitlab, project, ctx);
  const target = ref === undefined && path === undefined ? await whichRef(place) : place.target;
  const named = ref ?? target.ref;
  return {
    ...place,
    ref: named === undefined || named === '' ? 'HEAD' : refName(named),
    path: filePath(path ?? target.path ?? ''),
    lines: target.lines,
  };
}

const names = z.array(z.object({ name: z.string() }));

/** In a web address nothing says where a branch with slashes ends and the path begins: GitLab is asked for its branches. */
async function whichRef({ api, id, target }: Place): Promise<Target> {
  const { ref, path } = target;
  if (!ref || !path || /^[0-9a-f]{40}$/.test(ref)) return target;
  const whole = `${ref}/${path}`;
  for (const list of ['branches', 'tags']) {
    const found = names.parse(
      await api.get(`projects/${id}/repository/${list}`, { search: `${ref}/`, per_page: 100 }),
    );
    const [longest] = found
      .map((one) => one.name)
      .filter((name) => name === whole || whole.startsWith(`${name}/`))
      .sort((a, b) => b.length - a.length);
    if (longest !== undefined) return { ...target, ref: longest, path: whole.slice(longest.length + 1) };
  }
  return target;
}
