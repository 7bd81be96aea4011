// The calls of the registry's API, in JSON by HTTP.

import { noteServerTime } from "./clock.js";
import { session } from "./session.js";

const API = new URL("api/v1/", document.baseURI);

const TIMEOUT_MS = 30_000;
// The server ends the call at its deadline; this is for a server that does not answer at all.
const SILENCE_MS = 5_000;

/** The failure of a call. */
export class ApiError extends Error {
  /**
   * @param code the code, such as "not_found"; "unreachable" if the registry did not answer.
   * @param reason the reason in the details, such as "UNKNOWN_MODEL"; empty if there is none.
   * @param requestId how the server's log names the call; empty if it is not known.
   * @param retryAfterSeconds when to try again; 0 if the server does not say.
   */
  constructor(code, message, { reason = "", facts = {}, requestId = "", retryAfterSeconds = 0 } = {}) {
    super(message);
    this.name = "ApiError";
    this.code = code;
    this.reason = reason;
    this.facts = facts;
    this.requestId = requestId;
    this.retryAfterSeconds = retryAfterSeconds;
  }

  get isUnauthenticated() {
    return this.code === "unauthenticated";
  }

  get isDenied() {
    return this.code === "permission_denied";
  }
}

/**
 * Make a call.
 *
 * @param method the name of the call, such as "GetModel".
 * @param fields the fields of its request.
 * @param options.signal cancels it.
 * @param options.token another token than that of the session.
 * @param options.isExtra whether the view is of use without the reply: the user need not sign in for it.
 * @returns the reply.
 * @throws ApiError if it fails; an AbortError if it is cancelled.
 */
export async function call(
  method,
  fields = {},
  { signal, token = session.token, isExtra = false, timeoutMs = TIMEOUT_MS } = {},
) {
  const silence = AbortSignal.timeout(timeoutMs + SILENCE_MS);
  const response = await request(method, {
    method: "POST",
    headers: { "Content-Type": "application/json", "Connect-Timeout-Ms": String(timeoutMs), ...credentials(token) },
    body: JSON.stringify(fields),
    signal: signal ? AbortSignal.any([signal, silence]) : silence,
  });
  if (!response.ok) {
    // A token that was accepted and no longer is: nothing more will come with it.
    throw await refusal(response, (isExtra && !session.isSignedIn) || token !== session.token);
  }
  return await response.json();
}

/**
 * Open the stream of events.
 *
 * @param cursor the cursor of the last event that was received; empty to begin now.
 * @returns the response, whose body is the stream.
 */
export async function openEvents(cursor, signal) {
  const headers = { Accept: "text/event-stream", ...credentials(session.token), ...(cursor && { "Last-Event-ID": cursor }) };
  const response = await request("events", { headers, signal });
  if (!response.ok) {
    throw await refusal(response, true);
  }
  return response;
}

/** Return the error that the JSON of an error describes. */
export function errorFrom(body, response) {
  const info = (body.details ?? []).find((each) => each.type === "google.rpc.ErrorInfo")?.debug ?? {};
  return new ApiError(body.code ?? "unknown", body.message ?? "the registry gave no reason", {
    reason: info.reason ?? "",
    facts: info.metadata ?? {},
    requestId: response?.headers.get("x-request-id") ?? "",
    retryAfterSeconds: Number(response?.headers.get("retry-after") ?? 0),
  });
}

/**
 * Return a reference to a version.
 *
 * @param modelId any id.
 * @param version a number, an alias or "latest".
 */
export function referenceTo(modelId, version) {
  const encoded = modelId.replace(/@|%(?=40|25)/g, (found) => (found === "@" ? "%40" : "%25"));
  return `${encoded}@${version}`;
}

function credentials(token) {
  return token ? { Authorization: `Bearer ${token}` } : {};
}

async function request(path, options) {
  let response;
  try {
    response = await fetch(new URL(path, API), { cache: "no-store", credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") {
      throw error;
    }
    const text = error.name === "TimeoutError" ? "The registry does not answer." : "The registry cannot be reached.";
    throw new ApiError("unreachable", text);
  }
  noteServerTime(response.headers.get("date"));
  return response;
}

async function refusal(response, isExtra) {
  let error;
  try {
    error = errorFrom(await response.json(), response);
  } catch {
    // A proxy has answered, in its own form.
    const code = { 401: "unauthenticated", 403: "permission_denied", 404: "not_found" }[response.status] ?? "unavailable";
    error = new ApiError(code, `A server in front of the registry answered with the HTTP status ${response.status}.`);
  }
  if (error.isUnauthenticated) {
    session.noteRefusal();
    if (!isExtra) {
      session.requireSignIn(error.message);
    }
  }
  return error;
}

/** Return the text of a page for monitoring, such as "readyz": the reason if the registry is not ready. */
export async function readPage(name) {
  const response = await fetch(new URL(name, document.baseURI), { cache: "no-store" }).catch(() => null);
  return response === null ? "The registry cannot be reached." : await response.text();
}
