// The values of metrics over versions, kept current by events.

import { call } from "./api.js";
import { events } from "./events.js";
import { metricValue } from "./format.js";
import { useEffect } from "./html.js";
import { Observable, useObservable } from "./observable.js";
import { WorkQueue } from "./work_queue.js";

const KEPT_MAX = 300;
const AT_ONCE = 3;
// A series that events cannot describe is loaded again, but no more often than this.
const PAUSE_MS = 5_000;

/**
 * One series. `numbers` are versions, ascending, and `values` has a value for each; both are empty until they are known.
 * `error` is that of the last call, or null.
 */
class Series extends Observable {
  numbers = [];
  values = [];
  error = null;
  isAsked = false;
  // Counts how often the values became outdated.
  age = 0;
  #timer = 0;

  constructor(modelId, metric, pointsMax) {
    super();
    this.modelId = modelId;
    this.metric = metric;
    this.pointsMax = pointsMax;
  }

  take(numbers, values) {
    this.numbers = numbers;
    this.values = values;
    this.error = null;
    this.notify();
  }

  outdate() {
    this.isAsked = false;
    this.age += 1;
    this.notify();
  }

  #outdateSoon() {
    this.#timer ||= setTimeout(() => {
      this.#timer = 0;
      this.outdate();
    }, PAUSE_MS);
  }

  /** Take the metrics of a version that was made or changed. */
  set(number, metrics = {}) {
    const index = this.numbers.indexOf(number);
    const hasValue = Object.hasOwn(metrics, this.metric);
    if (index >= 0 && hasValue) {
      const values = [...this.values];
      values[index] = metricValue(metrics[this.metric]);
      this.take(this.numbers, values);
    } else if (index >= 0) {
      this.drop(number);
    } else if (hasValue && number > (this.numbers[this.numbers.length - 1] ?? 0)) {
      this.take([...this.numbers, number], [...this.values, metricValue(metrics[this.metric])]);
      // Twice as many points as were asked for: they are thinned out by the server.
      if (this.numbers.length > 2 * this.pointsMax) {
        this.#outdateSoon();
      }
    } else if (hasValue) {
      this.#outdateSoon();
    }
  }

  drop(number) {
    const index = this.numbers.indexOf(number);
    if (index >= 0) {
      this.take(this.numbers.toSpliced(index, 1), this.values.toSpliced(index, 1));
    }
  }
}

class SeriesCache {
  #series = new Map();
  #queue = new WorkQueue(AT_ONCE);

  constructor() {
    events.on({
      event: (event) => this.#apply(event),
      resync: () => this.#series.forEach((series) => series.outdate()),
      live: () => this.#series.forEach((series) => series.error && series.outdate()),
    });
  }

  of(modelId, metric, pointsMax) {
    const key = JSON.stringify([modelId, metric, pointsMax]);
    const found = this.#series.get(key) ?? new Series(modelId, metric, pointsMax);
    this.#series.delete(key);
    this.#series.set(key, found);
    if (this.#series.size > KEPT_MAX) {
      this.#series.delete(this.#series.keys().next().value);
    }
    return found;
  }

  ask(series) {
    if (series.isAsked) {
      return undefined;
    }
    series.isAsked = true;
    const { modelId, metric, pointsMax, age } = series;
    return this.#queue.add(
      async (signal) => {
        const request = { modelId, metrics: [metric], maxPoints: pointsMax };
        const [{ numbers = [], values = [] }] = (await call("GetMetricSeries", request, { signal, isExtra: true })).series;
        series.take(numbers, values.map(metricValue));
      },
      (error) => {
        if (error !== null) {
          series.error = error;
          series.notify();
        } else if (series.age === age) {
          // Another view may have begun to wait for it; unless it was outdated, and is asked for again already.
          series.outdate();
        }
      },
    );
  }

  #apply({ kind, modelId, content }) {
    for (const series of this.#series.values()) {
      if (series.modelId === modelId && series.isAsked) {
        if (kind === "version_created" || kind === "version_updated") {
          series.set(content.number, content.metrics);
        } else if (kind === "version_deleted" || kind === "version_evicted") {
          series.drop(content.number);
        } else if (kind === "model_created") {
          series.take([], []);
        }
      }
    }
  }
}

const cache = new SeriesCache();

/** Return the series of a metric over the versions of a model, with about the given number of points. */
export function useSeries(modelId, metric, pointsMax) {
  const series = useObservable(cache.of(modelId, metric, pointsMax));
  useEffect(() => cache.ask(series), [series, series.age]);
  return series;
}
