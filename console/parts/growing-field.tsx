// A field for words that is as tall as they are, up to a limit.
import type { ComponentProps } from 'react';

/** `className`: its letters, its width and `[--field-pad:…] [--field-most:…]`, the room around them and the tallest it gets. */
export function GrowingField({
  className = '',
  fieldClassName = '',
  ...field
}: ComponentProps<'textarea'> & { readonly value: string; readonly fieldClassName?: string }) {
  return (
    <div className={`grows ${className}`} data-words={field.value}>
      <textarea rows={1} dir="auto" {...field} className={`scroll-y resize-none bg-transparent ${fieldClassName}`} />
    </div>
  );
}
