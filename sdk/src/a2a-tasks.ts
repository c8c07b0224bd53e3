// The tasks of A2A callers, lately and in memory: the library's own store keeps every task for ever.
import type { ListTasksResponse, Task } from '@a2a-js/sdk';
import type { TaskStore } from '@a2a-js/sdk/server';
import { createRecent } from './recent.ts';

const KEPT = { keepMs: 3_600_000, most: 1_000 };

export function createTaskStore(): TaskStore {
  const tasks = createRecent<Task>(KEPT);
  return {
    async save(task) {
      tasks.set(task.id, task);
    },
    async load(taskId) {
      return tasks.get(taskId);
    },
    // Every caller has the same token, so a list would show the conversations of others.
    async list(): Promise<ListTasksResponse> {
      return { tasks: [], nextPageToken: '', pageSize: 0, totalSize: 0 };
    },
  };
}
