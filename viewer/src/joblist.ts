// Jobs as the server has them: those that a page still shows, and the server that ran them has stopped, are told as lost.
import { get, send } from "./api";
import { Refused, type Connection, type Job } from "./plugin/index";

export function unfinished({ state }: Job): boolean {
  return state === "queued" || state === "running";
}

/** Call with every job that is new or has changed, lost ones too, which have failed. `shown` are those of the page. */
export function followJobs(connection: Connection, shown: () => Iterable<Job>, tell: (job: Job) => void): void {
  connection.onJob(tell);
  connection.onJobs((jobs) => {
    const listed = new Set(jobs.map(({ id }) => id));
    const missing = [...shown()].filter((job) => unfinished(job) && !listed.has(job.id));
    for (const job of jobs) tell(job);
    // One that was submitted after the list was made is not lost.
    for (const job of missing) void present(job).then(tell, () => undefined);
  });
}

/** Cancel a job; return what became of it. Raises an Error where the server does not answer. */
export async function cancelJob(job: Job): Promise<Job> {
  return orLost(job, send<{ job: Job }>("DELETE", address(job)));
}

async function present(job: Job): Promise<Job> {
  return orLost(job, get<{ job: Job }>(address(job)));
}

async function orLost(job: Job, asked: Promise<{ job: Job }>): Promise<Job> {
  try {
    return (await asked).job;
  } catch (error) {
    if (!(error instanceof Refused) || error.status !== 404) throw error;
    return { ...job, state: "failed", seconds_left: null, message: "lost when the server stopped" };
  }
}

function address({ id }: Job): string {
  return `/api/jobs/${encodeURIComponent(id)}`;
}
