package vault

// Close stops what is under way. What was not committed does not exist, though a next run adopts its packs.
func (w *Writer) Close() {
	if w.packer != nil {
		w.packer.close()
	}
	w.segments.Wait()
	w.recall.forget()
	w.end(errClosed)
}

// GiveUp ends uploads, and what waits for them: no pack or segment is stored any more, and a commit that needs one fails with the cause. The caller of Commit ends its context as well.
// It may be called at any time, concurrently, and more than once.
func (w *Writer) GiveUp(cause error) { w.end(cause) }
