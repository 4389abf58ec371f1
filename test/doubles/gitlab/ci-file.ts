import { parse, YAMLParseError } from 'yaml';
import { isRecord } from './routing.ts';

/** Keys at the top of `.gitlab-ci.yml` that are no jobs (docs.gitlab.com/ci/yaml). */
const GLOBAL = new Set([
  'default',
  'include',
  'stages',
  'variables',
  'workflow',
  'image',
  'services',
  'cache',
  'before_script',
  'after_script',
  'spec',
  'pages',
]);
const STAGES = ['build', 'test', 'deploy'];
const AROUND = { first: '.pre', last: '.post' };

interface Read {
  errors: string[];
  jobs: { name: string; stage: string; manual: boolean; allowFailure: boolean; bridge: boolean }[];
}

/** The jobs that a `.gitlab-ci.yml` makes, or what GitLab says against it. */
export function readCi(content: string): Read {
  const none = (error: string): Read => ({ errors: [error], jobs: [] });
  let file: unknown;
  try {
    file = parse(content);
  } catch (error) {
    if (error instanceof YAMLParseError)
      return none(`Invalid configuration format: ${error.message.split('\n')[0]}`);
    throw error;
  }
  if (!isRecord(file)) return none('Invalid configuration format');
  const stages = [
    AROUND.first,
    ...(Array.isArray(file['stages']) ? file['stages'].map(String) : STAGES),
    AROUND.last,
  ];
  const errors: string[] = [];
  const jobs: Read['jobs'] = [];
  for (const [name, job] of Object.entries(file)) {
    if (GLOBAL.has(name) || name.startsWith('.')) continue;
    if (!isRecord(job)) {
      errors.push(`jobs ${name} config should be a hash`);
      continue;
    }
    const bridge = job['trigger'] !== undefined;
    if (job['script'] === undefined && job['run'] === undefined && !bridge && job['extends'] === undefined)
      errors.push(`jobs:${name} config should implement the script:, run:, or trigger: keyword`);
    const stage = typeof job['stage'] === 'string' ? job['stage'] : 'test';
    if (!stages.includes(stage))
      errors.push(
        `${name} job: chosen stage ${stage} does not exist; available stages are ${stages.join(', ')}`,
      );
    jobs.push({
      name,
      stage,
      bridge,
      manual: job['when'] === 'manual',
      allowFailure: job['allow_failure'] === true,
    });
  }
  if (jobs.length === 0 && errors.length === 0)
    errors.push('jobs config should contain at least one visible job');
  jobs.sort((a, b) => stages.indexOf(a.stage) - stages.indexOf(b.stage));
  return errors.length > 0 ? { errors, jobs: [] } : { errors, jobs };
}
