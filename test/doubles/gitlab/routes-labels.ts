import * as json from './json.ts';
import { user } from './json-user.ts';
import { yes } from './params.ts';
import { need, paged, Refused, str, type Asked, type Route } from './routing.ts';
import type { Label, Milestone, Release } from './model.ts';
import { commit } from './routes-refs.ts';

const COLOR = /^#[0-9a-f]{6}$/i;

function labelOf({ project, params }: Asked): Label {
  const wanted = params['label'] ?? '';
  const one = project.labels.find((each) => each.name === wanted || String(each.id) === wanted);
  if (!one) throw new Refused(404, '404 Label Not Found');
  return one;
}

function milestoneOf({ project, params }: Asked): Milestone {
  const one = project.milestones.find((each) => each.id === Number(params['milestone']));
  if (!one) throw new Refused(404, '404 Milestone Not Found');
  return one;
}

function releaseOf({ project, params }: Asked): Release {
  const one = project.releases.find((each) => each.tag === params['tag']);
  if (!one) throw new Refused(404, '404 Not Found');
  return one;
}

async function release(asked: Asked, { tag, name, description, author, at }: Release) {
  const { world, project } = asked;
  const url = `${world.url}/${project.path}/-`;
  return {
    tag_name: tag,
    name,
    description,
    created_at: at,
    released_at: at,
    upcoming_release: false,
    author: user(world, author),
    commit: await commit(asked, `refs/tags/${tag}`),
    milestones: [],
    commit_path: '',
    tag_path: `/${project.path}/-/tags/${tag}`,
    assets: { count: 0, sources: [], links: [] },
    evidences: [],
    _links: { self: `${url}/releases/${tag}` },
  };
}

/** Labels, milestones and releases. */
export const labelRoutes: Route[] = [
  [
    'GET',
    '/projects/:id/labels',
    (asked) => {
      const { project, query } = asked;
      const search = query.get('search')?.toLowerCase() ?? '';
      const rows = project.labels.filter((one) => one.name.toLowerCase().includes(search));
      rows.sort((a, b) => a.name.localeCompare(b.name));
      const counted = yes(query.get('with_counts'));
      return paged(
        asked,
        rows.map((one) => json.label(project, one, counted)),
        `/projects/${project.id}/labels`,
      );
    },
  ],
  [
    'POST',
    '/projects/:id/labels',
    (asked) => {
      need(asked, 20);
      const { world, project, body } = asked;
      const [name, color] = [str(body['name']), str(body['color'])];
      const missing = Object.entries({ name, color }).flatMap(([key, value]) =>
        value ? [] : [`${key} is missing`],
      );
      if (missing.length > 0 || !name) throw new Refused(400, { error: missing.join(', ') });
      if (!COLOR.test(color ?? ''))
        throw new Refused(400, { message: { color: ['must be a valid color code'] } });
      if (project.labels.some((one) => one.name === name))
        throw new Refused(409, { message: 'Label already exists' });
      return json.label(project, world.label(project, name, color, str(body['description']) ?? null), false);
    },
  ],
  ['GET', '/projects/:id/labels/:label', (asked) => json.label(asked.project, labelOf(asked), false)],
  [
    'PUT',
    '/projects/:id/labels/:label',
    (asked) => {
      need(asked, 20);
      const [one, fresh] = [labelOf(asked), str(asked.body['new_name'])];
      if (fresh !== undefined) {
        for (const item of [...asked.project.issues, ...asked.project.mergeRequests])
          item.labels = item.labels.map((each) => (each === one.name ? fresh : each));
        one.name = fresh;
      }
      one.color = str(asked.body['color']) ?? one.color;
      one.description = str(asked.body['description']) ?? one.description;
      return json.label(asked.project, one, false);
    },
  ],
  [
    'DELETE',
    '/projects/:id/labels/:label',
    (asked) => {
      need(asked, 20);
      const gone = labelOf(asked);
      asked.project.labels = asked.project.labels.filter((one) => one !== gone);
      for (const item of [...asked.project.issues, ...asked.project.mergeRequests])
        item.labels = item.labels.filter((each) => each !== gone.name);
      return undefined;
    },
  ],
  [
    'GET',
    '/projects/:id/milestones',
    (asked) => {
      const { world, project, query } = asked;
      const [title, state, search] = ['title', 'state', 'search'].map((name) => query.get(name));
      const rows = project.milestones.filter(
        (one) =>
          (!title || one.title === title) &&
          (!state || one.state === state) &&
          (!search || one.title.includes(search)),
      );
      return paged(
        asked,
        rows.map((one) => json.milestone(world, project, one)),
        `/projects/${project.id}/milestones`,
      );
    },
  ],
  [
    'POST',
    '/projects/:id/milestones',
    (asked) => {
      need(asked, 20);
      const { world, project, body } = asked;
      const title = str(body['title']);
      if (!title) throw new Refused(400, { error: 'title is missing' });
      if (project.milestones.some((one) => one.title === title))
        throw new Refused(400, {
          message: { title: ['already being used for another group or project milestone.'] },
        });
      const made = world.milestone(project, title, {
        description: str(body['description']) ?? '',
        due: str(body['due_date']) ?? null,
      });
      return json.milestone(world, project, made);
    },
  ],
  [
    'GET',
    '/projects/:id/milestones/:milestone',
    (asked) => json.milestone(asked.world, asked.project, milestoneOf(asked)),
  ],
  [
    'PUT',
    '/projects/:id/milestones/:milestone',
    (asked) => {
      need(asked, 20);
      const [one, { body }] = [milestoneOf(asked), asked];
      one.title = str(body['title']) ?? one.title;
      one.description = str(body['description']) ?? one.description;
      one.due = str(body['due_date']) ?? one.due;
      if (body['state_event'] === 'close') one.state = 'closed';
      if (body['state_event'] === 'activate') one.state = 'active';
      return json.milestone(asked.world, asked.project, one);
    },
  ],
  [
    'DELETE',
    '/projects/:id/milestones/:milestone',
    (asked) => {
      need(asked, 20);
      const gone = milestoneOf(asked);
      asked.project.milestones = asked.project.milestones.filter((one) => one !== gone);
      for (const item of [...asked.project.issues, ...asked.project.mergeRequests])
        if (item.milestone === gone) item.milestone = null;
      return undefined;
    },
  ],
  [
    'GET',
    '/projects/:id/releases',
    async (asked) => {
      const rows = asked.project.releases.toReversed();
      const path = `/projects/${asked.project.id}/releases`;
      return paged(asked, await Promise.all(rows.map((one) => release(asked, one))), path);
    },
  ],
  [
    'POST',
    '/projects/:id/releases',
    async (asked) => {
      need(asked, 30);
      const { project, body, user } = asked;
      const tag = str(body['tag_name']);
      if (!tag) throw new Refused(400, { error: 'tag_name is missing' });
      if (project.releases.some((one) => one.tag === tag))
        throw new Refused(409, { message: 'Release already exists' });
      if (!(await project.repo.resolve(`refs/tags/${tag}`))) {
        const ref = str(body['ref']);
        const sha = ref === undefined ? undefined : await project.repo.resolve(ref);
        if (!sha) throw new Refused(422, { message: 'Ref is not specified' });
        await project.repo.git(['update-ref', `refs/tags/${tag}`, sha]);
      }
      const made = {
        tag,
        name: str(body['name']) ?? tag,
        description: str(body['description']) ?? '',
        author: user,
        at: str(body['released_at']) ?? '2026-01-05T00:00:00.000Z',
      };
      project.releases.push(made);
      return release(asked, made);
    },
  ],
  ['GET', '/projects/:id/releases/:tag', (asked) => release(asked, releaseOf(asked))],
  [
    'DELETE',
    '/projects/:id/releases/:tag',
    async (asked) => {
      need(asked, 30);
      const gone = releaseOf(asked);
      asked.project.releases = asked.project.releases.filter((one) => one !== gone);
      return release(asked, gone);
    },
  ],
  ['GET', '/projects/:id/issues_statistics', (asked) => statistics(asked)],
];

function statistics({ project }: Asked) {
  const opened = project.issues.filter((one) => one.state === 'opened').length;
  const all = project.issues.length;
  return { statistics: { counts: { all, closed: all - opened, opened } } };
}
