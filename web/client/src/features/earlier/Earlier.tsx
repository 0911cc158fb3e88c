/** The question about an earlier part, fetched when it is to be asked: only by whoever took a yes back. */
import { Suspense } from 'react'
import { useStore } from 'zustand'
import { those } from '../../call/earlier'
import { useCaptureModel } from '../capture/context'
import { fetched } from '../later/fetched'

const EarlierBanner = fetched('EarlierBanner')

export function Earlier() {
  const { earlier } = useStore(useCaptureModel().store)
  if (those(earlier, 'asked', 'removing').length === 0) return null
  return (
    <Suspense>
      <EarlierBanner />
    </Suspense>
  )
}
