import { createHash } from 'node:crypto';
import type { User } from './model.ts';
import type { World } from './world.ts';

/** A user as others see them. */
export const user = (world: World, one: User) => ({
  id: one.id,
  username: one.username,
  public_email: '',
  name: one.name,
  state: 'active',
  locked: false,
  avatar_url: `https://secure.gravatar.com/avatar/${createHash('sha256').update(one.username).digest('hex')}?s=80&d=identicon`,
  web_url: `${world.url}/${one.username}`,
});
