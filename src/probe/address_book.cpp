// The addresses of one host; see address_book.hpp.

#include "probe/address_book.hpp"

#include <algorithm>
#include <utility>

namespace pg_status {

// Resolvers shuffle what they tell; a silent address must not get in front again by that.
void AddressBook::Found(std::vector<std::string> addresses) {
  if (addresses.empty()) return;
  denials_ = 0;
  const bool same = addresses.size() == addresses_.size() &&
                    std::is_permutation(addresses.begin(), addresses.end(), addresses_.begin());
  if (same) return;
  addresses_ = std::move(addresses);
  first_ = current_ = left_ = 0;
}

bool AddressBook::DoesNotExist(int limit) {
  // (the number is of no use beyond the limit)
  denials_ = std::min(denials_ + 1, limit);
  if (denials_ < limit || addresses_.empty()) return false;
  addresses_.clear();
  first_ = current_ = left_ = 0;
  return true;
}

bool AddressBook::Has(const std::string& address) const {
  return std::find(addresses_.begin(), addresses_.end(), address) != addresses_.end();
}

void AddressBook::BeginWalk() {
  current_ = addresses_.empty() ? 0 : first_ % addresses_.size();
  left_ = addresses_.size();
}

bool AddressBook::GoOn() {
  if (addresses_.empty()) return false;
  first_ = (current_ + 1) % addresses_.size();
  if (left_ <= 1) return false;
  --left_;
  current_ = first_;
  return true;
}

std::string AddressBook::current() const {
  return addresses_.empty() ? std::string() : addresses_[current_];
}

void AddressBook::Served() { first_ = current_; }

}  // namespace pg_status
