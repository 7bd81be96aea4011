// The user's sign-in. The token is kept for this tab alone, and is never part of an address.

import { Observable } from "./observable.js";

const KEY = "twisted-registry.token";

class Session extends Observable {
  #token = "";
  // Why the user must sign in; null if that is not needed.
  problem = null;
  // Whether the user asked for the form, and can go on without.
  isVoluntary = false;
  // Whether the registry has refused something to a caller without an identity.
  wasRefused = false;

  constructor() {
    super();
    try {
      this.#token = sessionStorage.getItem(KEY) ?? "";
    } catch {
      // Storage is blocked: the token is kept in memory.
    }
  }

  get token() {
    return this.#token;
  }

  get isSignedIn() {
    return this.#token !== "";
  }

  signIn(token) {
    this.#keep(token);
    this.isVoluntary = false;
    this.problem = null;
    this.notify();
  }

  signOut() {
    this.#keep("");
    // Nothing of what this user has seen stays in memory.
    location.reload();
  }

  /** Show the form, because the user wants to sign in. */
  offerSignIn() {
    this.isVoluntary = true;
    this.problem = "";
    this.notify();
  }

  /** Go on without signing in. */
  cancelSignIn() {
    this.isVoluntary = false;
    this.problem = null;
    this.notify();
  }

  noteRefusal() {
    if (!this.wasRefused) {
      this.wasRefused = true;
      this.notify();
    }
  }

  /** Ask the user to sign in: the registry did not accept a call. */
  requireSignIn(problem) {
    // The error of a call without a token is no news to the user: the form asks for one.
    this.problem = this.isSignedIn ? problem : "";
    this.isVoluntary = false;
    this.notify();
  }

  #keep(token) {
    this.#token = token;
    try {
      if (token) {
        sessionStorage.setItem(KEY, token);
      } else {
        sessionStorage.removeItem(KEY);
      }
    } catch {
      // As above.
    }
  }
}

export const session = new Session();
