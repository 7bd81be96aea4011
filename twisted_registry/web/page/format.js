// Numbers and times as text.

const BINARY_UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
const SECONDS = { year: 31_556_952, month: 2_629_746, day: 86_400, hour: 3_600, minute: 60 };

const counts = new Intl.NumberFormat("en");
const dates = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const fine = new Intl.NumberFormat("en", { maximumSignificantDigits: 4, useGrouping: false });
const coarse = new Intl.NumberFormat("en", { maximumFractionDigits: 1, useGrouping: false });
const scientific = new Intl.NumberFormat("en", { notation: "scientific", maximumSignificantDigits: 4 });

/** Return a count, such as "100,000". */
export function countText(count) {
  return counts.format(count);
}

/** Return a count with its noun, such as "1 version" or "2 versions". */
export function countOf(count, noun, plural = `${noun}s`) {
  return `${countText(count)} ${count === 1 ? noun : plural}`;
}

/** Return a size in bytes, such as "4.2 MiB". */
export function sizeText(bytes) {
  let value = Number(bytes);
  let unit = 0;
  while (value >= 1024 && unit < BINARY_UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${BINARY_UNITS[unit]}`;
}

/** Return a size with its exact number of bytes, such as "4.2 MiB (4,404,019 bytes)". */
export function exactSizeText(bytes) {
  const exact = `${counts.format(BigInt(bytes))} ${Number(bytes) === 1 ? "byte" : "bytes"}`;
  return Number(bytes) < 1024 ? exact : `${sizeText(bytes)} (${exact})`;
}

/** Return the value of a metric; JSON has infinite ones as text. */
export function metricValue(value) {
  return typeof value === "number" ? value : Number(value);
}

/** Return the value of a metric as text. */
export function metricText(value) {
  const number = metricValue(value);
  if (!Number.isFinite(number)) {
    return number > 0 ? "∞" : "−∞";
  }
  const size = Math.abs(number);
  const isExtreme = size !== 0 && (size < 1e-4 || size >= 1e7);
  const text = (isExtreme ? scientific : size >= 1000 ? coarse : fine).format(number);
  return text.replace("-", "−");
}

/** Return how long ago a time was, such as "5 min ago". */
export function ageText(time, now) {
  const seconds = Math.round((now - time) / 1000);
  if (seconds < 2) {
    return seconds < -60 ? "in the future" : "just now";
  }
  if (seconds < SECONDS.minute) {
    return `${seconds} s ago`;
  }
  if (seconds < SECONDS.hour) {
    return `${Math.floor(seconds / SECONDS.minute)} min ago`;
  }
  if (seconds < 2 * SECONDS.day) {
    return `${Math.floor(seconds / SECONDS.hour)} h ago`;
  }
  const unit = seconds < 60 * SECONDS.day ? "day" : seconds < 2 * SECONDS.year ? "month" : "year";
  return `${countOf(Math.floor(seconds / SECONDS[unit]), unit)} ago`;
}

/** Return a duration, such as "3 h 20 min". */
export function durationText(seconds) {
  const whole = Math.floor(seconds);
  const parts = [
    [Math.floor(whole / SECONDS.day), "d"],
    [Math.floor((whole % SECONDS.day) / SECONDS.hour), "h"],
    [Math.floor((whole % SECONDS.hour) / SECONDS.minute), "min"],
    [whole % SECONDS.minute, "s"],
  ];
  const first = parts.findIndex(([amount]) => amount > 0);
  return first < 0 ? "0 s" : parts.slice(first, first + 2).map(([amount, unit]) => `${amount} ${unit}`).join(" ");
}

/** Return a time in the zone of the user. */
export function localTime(time) {
  return dates.format(time);
}

/** Return a time in UTC, such as "2026-01-31 12:00:00 UTC". */
export function utcTime(time) {
  return `${new Date(time).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** Return base64, as JSON has bytes, in hexadecimal. */
export function hexOf(base64) {
  return Array.from(atob(base64 ?? ""), (byte) => byte.charCodeAt(0).toString(16).padStart(2, "0")).join("");
}

/** Return the text of an error as a sentence: the registry's begin in lower case, without a full stop. */
export function sentence(text) {
  const end = /[.!?]$/.test(text) ? "" : ".";
  return text && text[0].toUpperCase() + text.slice(1) + end;
}
