import { z } from 'zod';

const instance = z.object({
  name: z.string().regex(/^[a-z0-9-]+$/, 'a short name: lower case letters, digits and -'),
  url: z.url(),
  token: z.string().optional(),
  projects: z.array(z.string()).optional(),
  ca: z.string().optional(),
});

/** Settings of the GitLab server: `servers.gitlab` in kuznia.json, or the environment. */
export const gitlabConfig = z.object({
  url: z
    .url()
    .optional()
    .describe('web address of GitLab')
    .meta({ env: 'GITLAB_URL', example: 'https://gitlab.com' }),
  token: z
    .string()
    .optional()
    .describe('personal, group or project access token, or OAuth login: a secret:// reference')
    .meta({ env: 'GITLAB_TOKEN', example: 'secret://gitlab-token' }),
  projects: z
    .array(z.string())
    .default([])
    .describe('projects that may be used, `group/project` or `group/*`; empty: all that the token sees')
    .meta({ env: 'GITLAB_PROJECTS', example: 'group/project,other/*' }),
  toolsets: z
    .array(z.enum(['core', 'review', 'ci', 'git', 'all']))
    .default(['all'])
    .describe('which tools are listed')
    .meta({ env: 'GITLAB_TOOLSETS', example: 'core,ci' }),
  read_only: z
    .boolean()
    .default(false)
    .describe(
      'no tool that writes is listed, and no request that writes is sent; a token with read_api is enough',
    )
    .meta({ env: 'GITLAB_READ_ONLY' }),
  ca: z
    .string()
    .optional()
    .describe("PEM file (or text) of the certificate authority of your GitLab, trusted beside the system's")
    .meta({ env: 'GITLAB_CA', example: '/etc/ssl/gitlab-ca.pem' }),
  roots: z
    .array(z.string())
    .default([])
    .describe('folders in which git_ tools may work; empty: the folder `checkouts` of KUZNIA_HOME')
    .meta({ env: 'GITLAB_ROOTS', example: '/home/me/src' }),
  instances: z
    .array(instance)
    .default([])
    .describe('further GitLabs: projects there are written `name:group/project`, or as web addresses'),
});

export type GitLabConfig = z.output<typeof gitlabConfig>;
