// A long list on the server, of which the rows around the visible ones are held here.

import { Observable } from "./observable.js";

const PAGE_SIZE = 100;
const MARGIN = 30;
const KEPT_AROUND = 300;
// While the user drags the scroll bar, rows that flash by are not loaded.
const SETTLE_MS = 40;
const REPEATS_MAX = 2;

/**
 * The list. Rows are held in chunks of consecutive ones, each with the index of its first row.
 *
 * `total` is the number of rows, null until it is known; `error` the error of the last page, or null; `unseen` how many
 * changes are not shown, because only the server knows where they belong.
 */
export class RemoteList extends Observable {
  total = null;
  error = null;
  unseen = 0;
  isLoading = false;
  #chunks = [];
  #first = 0;
  #last = 0;
  #shift = 0;
  #structure = 0;
  #isOutdated = false;
  #abort = null;
  #timer = 0;

  /**
   * @param fetchPage takes { skip, size, mustCount, signal }; returns a promise of { items, total }. The total may be
   *   null unless it must be counted.
   * @param keyOf returns what identifies an item.
   * @param compare returns the order of two items, negative if the first comes first; null if only the server knows.
   */
  constructor({ fetchPage, keyOf, compare }) {
    super();
    this.fetchPage = fetchPage;
    this.keyOf = keyOf;
    this.compare = compare;
  }

  /** Return a row; undefined if it is not held. */
  row(index) {
    const chunk = this.#chunks.find(({ start, items }) => start <= index && index < start + items.length);
    return chunk?.items[index - chunk.start];
  }

  /** Return the held item with a key; undefined if there is none. */
  find(key) {
    for (const { items } of this.#chunks) {
      const found = items.find((item) => this.keyOf(item) === key);
      if (found) {
        return found;
      }
    }
    return undefined;
  }

  /** Return all items that are held. */
  held() {
    return this.#chunks.flatMap(({ items }) => items);
  }

  /** Hold the rows from one index to another, and some around them. */
  want(first, last) {
    this.#first = first;
    this.#last = last;
    const kept = this.#chunks.filter(
      ({ start, items }) => start <= last + KEPT_AROUND && start + items.length >= first - KEPT_AROUND,
    );
    if (kept.length < this.#chunks.length) {
      this.#chunks = kept;
    }
    // After an error, the user or a new connection asks again.
    if (this.error === null && this.#missing() !== null) {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#load(), this.total === null ? 0 : SETTLE_MS);
    }
  }

  /** Load the visible rows again. The present ones are shown until then. */
  reload() {
    this.#isOutdated = true;
    this.error = null;
    this.#abort?.abort();
    this.#abort = null;
    this.#load();
  }

  /** Take that there are no items. */
  clear() {
    if (this.total !== null) {
      this.#structure += 1;
      this.#chunks = [];
      this.total = 0;
      this.notify();
    }
  }

  /** Stop loading. */
  close() {
    clearTimeout(this.#timer);
    this.#abort?.abort();
  }

  /** Return by how many rows the visible ones have moved since the last call. */
  takeShift() {
    const shift = this.#shift;
    this.#shift = 0;
    return shift;
  }

  /** Take a new item, or the new content of one. */
  insert(item) {
    if (this.total === null) {
      return;
    }
    if (this.find(this.keyOf(item))) {
      this.update(this.keyOf(item), () => item);
      return;
    }
    if (this.compare === null) {
      this.unseen += 1;
    } else {
      this.#insertInOrder(item);
    }
    this.notify();
  }

  /** Take the new content of a held item: what a function returns for the present one. */
  update(key, change) {
    for (const { items } of this.#chunks) {
      const index = items.findIndex((item) => this.keyOf(item) === key);
      if (index >= 0) {
        items[index] = change(items[index]);
        this.notify();
      }
    }
  }

  /** Take that an item is gone; only what its key and its order need must be there. */
  remove(item) {
    if (this.total === null) {
      return;
    }
    const key = this.keyOf(item);
    const isHeld = this.find(key) !== undefined;
    if (!isHeld && this.compare === null) {
      // It may be in the list or not.
      this.unseen += 1;
    } else if (isHeld || !this.#covers(item)) {
      this.#drop(item, key);
    }
    this.notify();
  }

  #insertInOrder(item) {
    this.#structure += 1;
    if (this.#isAboveVisible(item)) {
      this.#shift += 1;
    }
    for (const chunk of this.#chunks) {
      const { items } = chunk;
      const index = items.findIndex((each) => this.compare(item, each) < 0);
      if (index > 0 || (index === 0 && chunk.start === 0)) {
        items.splice(index, 0, item);
      } else if (index === 0) {
        chunk.start += 1;
      } else if (chunk.start + items.length === this.total) {
        items.push(item);
      }
    }
    if (this.total === 0) {
      this.#chunks = [{ start: 0, items: [item] }];
    }
    this.total += 1;
  }

  #drop(item, key) {
    this.#structure += 1;
    if (this.compare && this.#isAboveVisible(item)) {
      this.#shift -= 1;
    }
    let position = Infinity;
    for (const { start, items } of this.#chunks) {
      const index = items.findIndex((each) => this.keyOf(each) === key);
      position = index >= 0 ? start + index : position;
    }
    for (const chunk of this.#chunks) {
      const index = chunk.items.findIndex((each) => this.keyOf(each) === key);
      if (index >= 0) {
        chunk.items.splice(index, 1);
      } else if (this.compare ? this.compare(item, chunk.items[0]) < 0 : position < chunk.start) {
        chunk.start -= 1;
      }
    }
    this.#chunks = this.#chunks.filter(({ items }) => items.length > 0);
    this.total = Math.max(0, this.total - 1);
  }

  /** Return whether an item that is not held belongs between held ones, and so is not in the list. */
  #covers(item) {
    return this.#chunks.some(
      ({ items }) => this.compare(items[0], item) <= 0 && this.compare(item, items[items.length - 1]) <= 0,
    );
  }

  #isAboveVisible(item) {
    const top = this.row(this.#first);
    return this.#first > 0 && top !== undefined && this.compare(item, top) < 0;
  }

  /** Return the first row to load; null if all that is wanted is held. */
  #missing() {
    if (this.total === null || this.#isOutdated) {
      return Math.max(0, this.#first - MARGIN);
    }
    const end = Math.min(this.total, this.#last + MARGIN);
    for (let index = Math.max(0, this.#first - MARGIN); index < end; index += 1) {
      if (this.row(index) === undefined) {
        return index;
      }
    }
    return null;
  }

  async #load() {
    if (this.#abort) {
      return;
    }
    const abort = new AbortController();
    this.#abort = abort;
    this.isLoading = true;
    this.notify();
    try {
      for (let missing = this.#missing(); missing !== null; missing = this.#missing()) {
        await this.#loadPage(missing, abort.signal);
      }
      this.error = null;
    } catch (error) {
      if (abort.signal.aborted) {
        return;
      }
      this.error = error;
    }
    this.#abort = null;
    this.isLoading = false;
    this.notify();
  }

  async #loadPage(missing, signal) {
    const aligned = Math.floor(missing / PAGE_SIZE) * PAGE_SIZE;
    const skip = this.#isOutdated || this.row(aligned) === undefined ? aligned : missing;
    let page;
    for (let repeat = 0, structure = -1; structure !== this.#structure && repeat <= REPEATS_MAX; repeat += 1) {
      structure = this.#structure;
      const mustCount = this.total === null || this.#isOutdated;
      page = await this.fetchPage({ skip, size: PAGE_SIZE, mustCount, signal });
      signal.throwIfAborted();
    }
    this.#take(skip, page);
    this.notify();
  }

  #take(skip, { items, total: counted }) {
    const total = counted ?? this.total;
    if (this.#isOutdated) {
      this.#chunks = [];
      this.#isOutdated = false;
      this.unseen = 0;
    }
    // A page that is empty before the end: the list has become shorter since it was counted.
    this.total = items.length > 0 ? Math.max(total, skip + items.length) : Math.min(total, skip);
    if (items.length > 0) {
      this.#chunks.push({ start: skip, items });
    }
  }
}
