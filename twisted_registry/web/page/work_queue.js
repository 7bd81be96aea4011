// Small calls for what is visible, a few at a time: other calls get through between them.

/** The queue. Work for what is not visible any more is cancelled by those who added it. */
export class WorkQueue {
  #waiting = [];
  #running = 0;

  /** @param atOnce how much is done at the same time. */
  constructor(atOnce) {
    this.atOnce = atOnce;
  }

  /**
   * Add work. Returns a function that cancels it.
   *
   * @param work takes a signal that cancels it; returns a promise.
   * @param onError called with its error; with null if it was cancelled.
   */
  add(work, onError) {
    const abort = new AbortController();
    let isDone = false;
    const job = async () => {
      try {
        await work(abort.signal);
      } catch (error) {
        onError(abort.signal.aborted ? null : error);
      }
      isDone = true;
    };
    this.#waiting.push(job);
    this.#run();
    return () => {
      if (isDone) {
        return;
      }
      const index = this.#waiting.indexOf(job);
      if (index >= 0) {
        this.#waiting.splice(index, 1);
        onError(null);
      } else {
        abort.abort();
      }
    };
  }

  async #run() {
    if (this.#running >= this.atOnce) {
      return;
    }
    this.#running += 1;
    for (let job = this.#waiting.shift(); job; job = this.#waiting.shift()) {
      await job();
    }
    this.#running -= 1;
  }
}
