package main

import (
	"fmt"
	"net/url"
	"strings"
)

// price is what a store asks, in US dollars, and when that was read from its provider.
type price struct {
	Store string `json:"store"`
	// Date is when the provider's page was read; "undated" where the source gives none.
	Date string `json:"date"`
	// Put and Get are for 1,000 requests: creating and listing, and reading.
	Put float64 `json:"put_per_1000"`
	Get float64 `json:"get_per_1000"`
	// Storage is for a GB-month of 10^9 bytes; Egress for a GB read out of the cloud.
	Storage float64 `json:"storage_per_gb_month"`
	Egress  float64 `json:"egress_per_gb"`
	// Note says what the figures leave out.
	Note string `json:"note,omitempty"`
}

// prices are list prices of each provider's standard class in its cheapest common region. Where a provider counts in GiB the figure is the same to
// within the precision of an estimate.
var prices = map[string]price{
	"s3":     {"AWS S3 Standard, us-east-1", "2026-05-05", 0.005, 0.0004, 0.023, 0.09, "storage and egress are list prices without free tier"},
	"gcs":    {"Google Cloud Storage Standard, us-central1", "2026-09-20", 0.005, 0.0004, 0.020, 0.12, "egress is that of the first 10 TiB"},
	"r2":     {"Cloudflare R2", "2026-08-03", 0.0045, 0.00036, 0.015, 0, ""},
	"b2":     {"Backblaze B2", "2026-09-11", 0, 0, 0.00695, 0.01, "egress is free up to three times what is stored"},
	"wasabi": {"Wasabi", "undated", 0, 0, 0.0069, 0, "at least 90 days and 1 TB are billed"},
}

// hosts tell a store by its endpoint's host; the ends of names.
var hosts = []struct{ suffix, key string }{
	{".amazonaws.com", "s3"},
	{".r2.cloudflarestorage.com", "r2"},
	{".backblazeb2.com", "b2"},
	{".wasabisys.com", "wasabi"},
}

// priceOf returns the prices of the store at a URL, and false where they are not known.
func priceOf(address string) (price, bool) {
	u, err := url.Parse(address)
	if err != nil {
		return price{}, false
	}
	switch endpoint := u.Query().Get("endpoint"); {
	case u.Scheme == "gs" && endpoint == "":
		return prices["gcs"], true
	case u.Scheme == "s3" && endpoint == "":
		return prices["s3"], true
	case u.Scheme == "s3":
		return priceOfHost(endpoint)
	}
	return price{}, false
}

// priceOfHost tells a store by its endpoint.
func priceOfHost(endpoint string) (price, bool) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return price{}, false
	}
	for _, h := range hosts {
		if strings.HasSuffix("."+u.Hostname(), h.suffix) {
			return prices[h.key], true
		}
	}
	return price{}, false
}

// demand is what a run asks of one store.
type demand struct {
	Puts, Gets int64
	// Stored is bytes that stay, Egress bytes read out of the cloud.
	Stored, Egress int64
}

// cost is what a demand costs.
type cost struct {
	price
	Requests float64 `json:"requests_usd"`
	Transfer float64 `json:"egress_usd"`
	Month    float64 `json:"storage_usd_per_month"`
}

// costOf applies prices to a demand.
func costOf(p price, d demand) cost {
	const gb = 1e9
	return cost{
		price:    p,
		Requests: float64(d.Puts)/1000*p.Put + float64(d.Gets)/1000*p.Get,
		Transfer: float64(d.Egress) / gb * p.Egress,
		Month:    float64(d.Stored) / gb * p.Storage,
	}
}

// String says the cost in a line.
func (c cost) String() string {
	return fmt.Sprintf("%s once, %s a month for storage, at %s's prices of %s%s", dollars(c.Requests+c.Transfer), dollars(c.Month), c.Store, c.Date, bracketed(c.Note))
}

// dollars writes an amount: to the cent, smaller ones with two digits that say something.
func dollars(usd float64) string {
	switch {
	case usd == 0:
		return "$0"
	case usd < 0.0001:
		return "less than $0.0001"
	case usd < 0.1:
		return fmt.Sprintf("$%.4f", usd)
	}
	return fmt.Sprintf("$%.2f", usd)
}
