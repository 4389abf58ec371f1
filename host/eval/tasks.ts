import { chooseTasks } from './choose.ts';
import { fillingTasks } from './filling.ts';
import { forgeTasks } from './forge.ts';
import { improveTasks, reuseTasks } from './growing.ts';
import { refuseTasks } from './refuse.ts';
import type { Task } from './task.ts';
import { twoStepTasks } from './two-step.ts';

/** The tasks of the evaluation, the quick ones first. */
export const tasks: Task[] = [
  ...chooseTasks,
  ...fillingTasks,
  ...twoStepTasks,
  ...refuseTasks,
  ...reuseTasks,
  ...improveTasks,
  ...forgeTasks,
];
