/** Where tiles go: pure arithmetic, no elements. CSS alone can't choose the number of columns. */

export interface Grid {
  columns: number
  width: number
  height: number
  /** Index of the first tile of an incomplete last row, or -1. */
  lastRow: number
  /** The half column at which that row starts, so that it is centred (1-based, as in CSS). */
  lastStart: number
}

const WIDEST = 16 / 9
const TALLEST = 4 / 5

/** The columns that give the largest tile, its shape kept between 4:5 and 16:9. Sizes in CSS pixels. */
export function bestGrid(count: number, width: number, height: number, gap: number): Grid {
  let best = { columns: 1, width: 0, height: 0 }
  for (let columns = 1; columns <= count; columns++) {
    const rows = Math.ceil(count / columns)
    let w = Math.max(0, (width - gap * (columns - 1)) / columns)
    let h = Math.max(0, (height - gap * (rows - 1)) / rows)
    if (w > h * WIDEST) w = h * WIDEST
    if (w < h * TALLEST) h = w / TALLEST
    if (w * h > best.width * best.height) best = { columns, width: w, height: h }
  }
  const rest = count % best.columns
  return {
    columns: best.columns,
    width: Math.floor(best.width),
    height: Math.floor(best.height),
    lastRow: rest ? count - rest : -1,
    lastStart: best.columns - rest + 1,
  }
}

/** A tile below this shows no face any more; more people go to the next page. */
const SMALLEST = { width: 120, height: 90 }
const MOST_TILES = 9

/** How many tiles fit on one page of a stage. At least two, so that nobody sits alone with themselves. */
export function tilesPerPage(width: number, height: number, gap: number): number {
  const columns = Math.floor((width + gap) / (SMALLEST.width + gap))
  const rows = Math.floor((height + gap) / (SMALLEST.height + gap))
  return Math.max(2, Math.min(MOST_TILES, columns * rows))
}

/** The part of `items` on a page (0-based; past the end is the last page). */
export function pageOf<T>(items: readonly T[], perPage: number, page: number): { page: number; pages: number; items: T[] } {
  const pages = Math.max(1, Math.ceil(items.length / perPage))
  const current = Math.min(Math.max(page, 0), pages - 1)
  return { page: current, pages, items: items.slice(current * perPage, (current + 1) * perPage) }
}
