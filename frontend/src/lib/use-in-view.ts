import { type RefObject, useEffect, useState } from 'react'

const listeners = new WeakMap<Element, (inView: boolean) => void>()
let observer: IntersectionObserver | undefined

/** Tells whenever the element comes into view or leaves it. One observer does for all elements. */
function observe(element: Element, listener: (inView: boolean) => void): () => void {
  observer ??= new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) listeners.get(target)?.(isIntersecting)
  })
  const shared = observer
  listeners.set(element, listener)
  shared.observe(element)
  return () => {
    shared.unobserve(element)
    listeners.delete(element)
  }
}

/** Whether any of the element can be seen; taken for so until it is known. */
export function useInView(ref: RefObject<Element | null>): boolean {
  const [inView, setInView] = useState(true)
  useEffect(() => (ref.current ? observe(ref.current, setInView) : undefined), [ref])
  return inView
}
