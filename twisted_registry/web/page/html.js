// The library of views. Everything that is put into a template is text: no value becomes markup.

export {
  html,
  render,
  createContext,
  useCallback,
  useContext,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from "./vendor/htm/standalone.module.js";
