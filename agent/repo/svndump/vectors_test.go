package svndump

// These were computed from the definition by other means than this package.
const (
	vectorSHA1  = "079fdb42f4683b88d28915cbfbebcfb6c8a2b9d25141482539d5749aa3998a15"
	vectorMD5   = "307065fadc420bdb10c6ad19f3f1c22bebe8482437ba31325e05949be7b43bc9"
	vectorProps = "b06fa4fbf4f5e839e628b85bf91386acffd86813c80c6c5ba4f957c8c2741dc8"
)
