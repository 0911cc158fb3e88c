import { describe, expect, test } from 'vitest'
import { bestGrid, pageOf, tilesPerPage } from './grid'

describe('the grid', () => {
  test('gives one person the whole stage in the shape of a picture', () => {
    expect(bestGrid(1, 1600, 900, 12)).toMatchObject({ columns: 1, width: 1600, height: 900 })
    expect(bestGrid(1, 2000, 900, 12)).toMatchObject({ width: 1600, height: 900 })
  })

  test('puts two side by side on a wide stage and one above the other on a tall one', () => {
    expect(bestGrid(2, 1600, 700, 12).columns).toBe(2)
    expect(bestGrid(2, 390, 700, 12).columns).toBe(1)
  })

  test('never makes a tile wider than 16:9 or taller than 4:5', () => {
    for (let count = 1; count <= 9; count++) {
      for (const [width, height] of [[1200, 600], [390, 650], [584, 260], [300, 900]] as const) {
        const tile = bestGrid(count, width, height, 12)
        expect(tile.width / tile.height).toBeLessThan(16 / 9 + 0.05)
        expect(tile.width / tile.height).toBeGreaterThan(4 / 5 - 0.05)
      }
    }
  })

  test('centres an incomplete last row on half columns', () => {
    expect(bestGrid(5, 1600, 900, 12)).toMatchObject({ columns: 3, lastRow: 3, lastStart: 2 })
    expect(bestGrid(4, 1600, 900, 12)).toMatchObject({ columns: 2, lastRow: -1 })
  })

  test('fits into the stage that it was given', () => {
    const { columns, width, height } = bestGrid(7, 1234, 567, 12)
    const rows = Math.ceil(7 / columns)
    expect(columns * width + (columns - 1) * 12).toBeLessThanOrEqual(1234)
    expect(rows * height + (rows - 1) * 12).toBeLessThanOrEqual(567)
  })

  test('survives a stage without size', () => {
    expect(bestGrid(3, 0, 0, 12)).toMatchObject({ columns: 1, width: 0, height: 0 })
  })
})

describe('pages of tiles', () => {
  test('show nine at most, and two even on the smallest stage', () => {
    expect(tilesPerPage(2000, 1200, 12)).toBe(9)
    expect(tilesPerPage(100, 60, 12)).toBe(2)
    expect(tilesPerPage(584, 145, 12)).toBe(4)
  })

  test('keep to the last page when people leave', () => {
    expect(pageOf([1, 2, 3, 4, 5], 2, 9)).toEqual({ page: 2, pages: 3, items: [5] })
    expect(pageOf([], 2, 1)).toEqual({ page: 0, pages: 1, items: [] })
  })
})
