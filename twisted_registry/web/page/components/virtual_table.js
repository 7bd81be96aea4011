// A table of which only the visible rows are in the document.

import { html, useEffect, useLayoutEffect, useRef, useState } from "../html.js";
import { useObservable } from "../observable.js";

const OVERSCAN = 8;
// Browsers cannot lay out elements of any height: a longer table is scrolled in larger steps.
const HEIGHT_MAX = 8_000_000;
const FRESH_MS = 1_600;

/**
 * Show a list as a table.
 *
 * @param label the name of the table.
 * @param list a RemoteList.
 * @param columns each with `key`, `title`, an optional `order` (the field to sort by), and `cell`, which takes an item and
 *   returns what its cell shows.
 * @param rowHeight the height of a row, in pixels.
 * @param addressOf returns the address that a row leads to.
 * @param nameOf returns the name of a row for screen readers.
 * @param selected the key of the row that is marked.
 * @param orderBy the present order.
 * @param onOrder called with another order.
 */
export function VirtualTable(props) {
  const { label, list, columns, rowHeight, addressOf, selected = null, orderBy = "", onOrder = null } = props;
  useObservable(list);
  const box = useRef(null);
  const [active, setActive] = useState(0);
  const { first, last, height, offset, refresh } = useWindow(box, list, rowHeight);
  const keys = useRowKeys({ box, list, setActive, rowHeight, refresh });
  const rows = [];
  for (let index = first; index < last; index += 1) {
    rows.push(index);
  }
  const focusable = active >= first && active < last ? active : first;
  return html`
    <div
      class="table"
      role="grid"
      aria-label=${label}
      aria-rowcount=${list.total === null ? -1 : list.total + 1}
      aria-colcount=${columns.length}
      aria-busy=${list.isLoading}
      ref=${box}
      onKeyDown=${keys}
    >
      <div class="head" role="rowgroup">
        <div class="row" role="row" aria-rowindex="1">
          ${columns.map((column) => html`<${Heading} key=${column.key} ...${{ column, orderBy, onOrder }} />`)}
        </div>
      </div>
      <div class="rows" role="rowgroup" style=${{ height: `${height}px` }}>
        ${rows.map((index) => {
          const item = list.row(index);
          return html`<${Row}
            key=${item ? list.keyOf(item) : `empty ${index}`}
            item=${item}
            index=${index}
            top=${(index - first) * rowHeight + offset}
            isFocusable=${index === focusable}
            isSelected=${item !== undefined && list.keyOf(item) === selected}
            onFocus=${() => setActive(index)}
            ...${{ columns, rowHeight, addressOf }}
          />`;
        })}
      </div>
    </div>
  `;
}

function Heading({ column, orderBy, onOrder }) {
  const [, field, direction] = /^(.*?)(?: (asc|desc))?$/.exec(orderBy);
  const isOrdered = column.order !== undefined && field === column.order;
  const sort = isOrdered ? (direction === "desc" ? "descending" : "ascending") : "none";
  const next = isOrdered && direction === "desc" ? `${column.order} asc` : `${column.order} desc`;
  const isSortable = column.order !== undefined && onOrder !== null;
  return html`
    <div class=${`cell ${column.key}`} role="columnheader" aria-sort=${isSortable ? sort : undefined}>
      ${isSortable
        ? html`<button type="button" class="plain sort" onClick=${() => onOrder(next)}>
            ${column.title}<span aria-hidden="true">${{ ascending: " ↑", descending: " ↓", none: "" }[sort]}</span>
          </button>`
        : column.title}
    </div>
  `;
}

function Row({ item, index, top, columns, rowHeight, addressOf, isFocusable, isSelected, onFocus }) {
  const isFresh = item?.changedAt !== undefined && Date.now() - item.changedAt < FRESH_MS;
  const address = item && addressOf(item);
  const open = (event) => {
    // A link within the row does what the user asks of it; a selection of text is not a click.
    if (address && !event.target.closest("a, button") && !String(getSelection())) {
      location.hash = address;
    }
  };
  return html`
    <div
      class="row"
      role="row"
      aria-rowindex=${index + 2}
      aria-selected=${isSelected}
      data-index=${index}
      data-address=${address}
      data-fresh=${isFresh ? String(item.changedAt) : undefined}
      tabindex=${isFocusable ? 0 : -1}
      style=${{ transform: `translateY(${top}px)`, height: `${rowHeight}px` }}
      onClick=${open}
      onFocus=${onFocus}
    >
      ${columns.map(
        (column) => html`
          <div key=${column.key} class=${`cell ${column.key}`} role="gridcell">
            ${item ? column.cell(item) : html`<span class="placeholder" aria-hidden="true"></span>`}
          </div>
        `,
      )}
    </div>
  `;
}

/** Return which rows are visible, and where they are. */
function useWindow(box, list, rowHeight) {
  const [, repaint] = useState(0);
  const refresh = () => repaint((count) => count + 1);
  const total = list.total ?? 0;
  const element = box.current;
  const { height, viewport, scale } = measuresOf(element, total, rowHeight);
  const scrollTop = element?.scrollTop ?? 0;
  const virtualTop = scrollTop / scale;
  const first = Math.max(0, Math.floor(virtualTop / rowHeight) - OVERSCAN);
  const last = Math.min(total, Math.ceil((virtualTop + viewport) / rowHeight) + OVERSCAN);

  useEffect(() => {
    let isWaiting = false;
    const onScroll = () => {
      if (!isWaiting) {
        isWaiting = true;
        requestAnimationFrame(() => {
          isWaiting = false;
          refresh();
        });
      }
    };
    const sizes = new ResizeObserver(onScroll);
    sizes.observe(element ?? box.current);
    box.current.addEventListener("scroll", onScroll, { passive: true });
    const scrolled = box.current;
    return () => {
      sizes.disconnect();
      scrolled.removeEventListener("scroll", onScroll);
    };
  }, []);

  useLayoutEffect(() => {
    // Rows that came or went above the visible ones do not move these.
    const shift = list.takeShift();
    if (shift !== 0 && box.current.scrollTop > rowHeight) {
      box.current.scrollTop += shift * rowHeight * scale;
    }
  });

  const visibleFirst = Math.floor(virtualTop / rowHeight);
  useEffect(() => list.want(visibleFirst, last));
  return { first, last, height, offset: scrollTop - virtualTop + first * rowHeight, refresh };
}

/** Return the handler of keys that move between rows. */
function useRowKeys({ box, list, setActive, rowHeight, refresh }) {
  const wanted = useFocusedRow(box);
  return (event) => {
    const row = event.target.closest("[data-index]");
    if (row === null || event.altKey || event.ctrlKey || event.metaKey || list.total === null) {
      return;
    }
    if (event.key === "Enter" && event.target === row && row.dataset.address) {
      location.hash = row.dataset.address;
      event.preventDefault();
      return;
    }
    const page = Math.max(1, Math.floor(box.current.clientHeight / rowHeight) - 2);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.key in steps) {
      const next = Math.min(list.total - 1, Math.max(0, Number(row.dataset.index) + steps[event.key]));
      event.preventDefault();
      setActive(next);
      scrollTo(box.current, next, list.total, rowHeight);
      wanted.current = { index: next, isElsewhere: true };
      refresh();
    }
  };
}

/**
 * Keep the focus in the table. Return a reference to the row that has it, or is to have it as soon as it is in the
 * document: rows leave that, or come as another element once they are loaded.
 */
function useFocusedRow(box) {
  const wanted = useRef(null);
  useEffect(() => {
    const note = (event) => {
      const row = box.current?.contains(event.target) ? event.target.closest("[data-index]") : null;
      wanted.current = row ? { index: Number(row.dataset.index), isElsewhere: false } : null;
    };
    document.addEventListener("focusin", note);
    document.addEventListener("pointerdown", note);
    return () => {
      document.removeEventListener("focusin", note);
      document.removeEventListener("pointerdown", note);
    };
  }, []);
  useLayoutEffect(() => {
    const focused = document.activeElement.closest("[data-index]");
    if (wanted.current === null) {
      return;
    }
    if (focused && !wanted.current.isElsewhere) {
      // Rows above it may have come or gone.
      wanted.current.index = Number(focused.dataset.index);
    } else if (focused || document.activeElement === document.body) {
      box.current.querySelector(`[data-index="${wanted.current.index}"]`)?.focus({ preventScroll: true });
    }
  });
  return wanted;
}

function scrollTo(box, index, total, rowHeight) {
  const { viewport, scale } = measuresOf(box, total, rowHeight);
  const virtualTop = box.scrollTop / scale;
  const top = index * rowHeight;
  const room = viewport - rowHeight;
  if (top < virtualTop) {
    box.scrollTop = top * scale;
  } else if (top > virtualTop + room) {
    box.scrollTop = (top - room) * scale;
  }
}

/**
 * Return the height of all rows in the document, that of the visible part, and by how much the table scrolls for each
 * pixel of the list: 1, unless the list is too high.
 */
function measuresOf(box, total, rowHeight) {
  const full = total * rowHeight;
  const height = Math.min(full, HEIGHT_MAX);
  const viewport = box ? box.clientHeight - box.querySelector(".head").offsetHeight : 600;
  return { height, viewport, scale: full > height ? (height - viewport) / (full - viewport) : 1 };
}
