package providers

// SetListPage makes the Bucket list in pages of n.
func (b *Bucket) SetListPage(n int) { b.listPage = n }
