import { Check, Copy } from 'lucide-react';
import { useEffect, useState } from 'react';
import { Button, IconButton } from './button.tsx';
import { copyText } from './copy-text.ts';
import { toastError } from './toasts.tsx';

const SAID_MS = 1_600;

/** Copies `text`; with `children` it is a button with words, else a small icon. */
export function CopyButton({ text, label, children }: { text: string; label: string; children?: string }) {
  const [isCopied, setCopied] = useState(false);
  useEffect(() => {
    if (!isCopied) return;
    const timer = setTimeout(() => setCopied(false), SAID_MS);
    return () => clearTimeout(timer);
  }, [isCopied]);
  const copy = () => {
    copyText(text).then(() => setCopied(true), toastError);
  };
  const icon = isCopied ? Check : Copy;
  if (children === undefined) return <IconButton icon={icon} label={isCopied ? 'Copied' : label} onClick={copy} />;
  return (
    <Button icon={icon} onClick={copy} aria-label={label}>
      {isCopied ? 'Copied' : children}
    </Button>
  );
}
